package main

import (
	"cmp"
	"fmt"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/roomtide/roomtide/notify"
	"github.com/roomtide/roomtide/server"
)

type pushTestVerb struct {
	admin
	User  string `required:"" help:"Whose devices are pushed to."`
	Title string `help:"Title of the notification."`
	Text  string `help:"Text of the notification."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

func (*pushTestVerb) Help() string {
	return `The running node sends one notification to each device of the user at once, whatever the user's settings say,
and tells what the service has answered. docs/push.md says what each answer means.`
}

// trials are the answers of services.
type trials struct {
	Devices []notify.Trial `json:"devices"`
}

func (v *pushTestVerb) Run(a *app) error {
	if err := checkUser(v.User); err != nil {
		return err
	}
	o, err := v.connect(a)
	if err != nil {
		return err
	}
	defer o.close()
	var got trials
	if err := o.do(a.ctx, "POST", "/v1/push/test", map[string]string{"user": v.User, "title": v.Title, "text": v.Text}, &got); err != nil {
		return err
	}
	if v.JSON {
		return printJSON(a.stdout, got)
	}
	if len(got.Devices) == 0 {
		return fmt.Errorf("%s has no device: an app or a page registers one", v.User)
	}
	delivered := 0
	for _, t := range got.Devices {
		if t.Action == "delivered" {
			delivered++
		}
		fmt.Fprintf(a.stdout, "%s of %s\n", t.Device, v.User)
		fmt.Fprintf(a.stdout, "  asked     %s, which took %d ms to answer\n", t.Provider, t.Millis)
		if t.Language != "" {
			fmt.Fprintf(a.stdout, "  language  %s\n", t.Language)
		}
		fmt.Fprintf(a.stdout, "  answer    %s (%s)\n", t.Action, t.Reason)
		if t.Error != "" {
			fmt.Fprintf(a.stdout, "  cause     %s\n", t.Error)
		}
		if t.ID != "" {
			fmt.Fprintf(a.stdout, "  id there  %s\n", t.ID)
		}
		fmt.Fprintf(a.stdout, "  meaning   %s\n", meaning(&t))
	}
	if delivered == 0 {
		return fmt.Errorf("no service has taken it")
	}
	return nil
}

// meaning says what an answer is for the operator.
func meaning(t *notify.Trial) string {
	switch t.Action {
	case "delivered":
		return "the service has it; if the device shows nothing, the cause is there: permission, focus mode, or the app"
	case "dead":
		return "the device is gone for this service: the app was removed, or registered for another project, topic or key"
	case "misconfigured":
		return "the service refuses the node's credentials or settings: see [push] and the log of the node"
	case "pause":
		return fmt.Sprintf("the service does not answer well, and is asked again in %v", (time.Duration(t.Again) * time.Millisecond).Round(time.Second))
	case "retry":
		return "not now for this device"
	}
	return "the service does not take this notification"
}

type pushDeadVerb struct {
	admin
	User string `help:"Only those of one user."`
	JSON bool   `name:"json" help:"Print JSON."`
}

func (v *pushDeadVerb) Run(a *app) error {
	o, err := v.connect(a)
	if err != nil {
		return err
	}
	defer o.close()
	var got struct {
		Dead []notify.Dead `json:"dead"`
		More bool          `json:"more"`
	}
	if err := o.do(a.ctx, "GET", "/v1/push/dead"+ofUser(v.User), nil, &got); err != nil {
		return err
	}
	if v.JSON {
		return printJSON(a.stdout, got)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "USER\tROOM\tDEVICE\tATTEMPTS\tREASON\tSINCE")
	for _, d := range got.Dead {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", d.User, cmp.Or(string(d.Room), "-"), d.Device, d.Attempts, d.Reason, time.UnixMilli(d.Made).Format(time.RFC3339))
	}
	if got.More {
		fmt.Fprintln(w, "…")
	}
	return w.Flush()
}

// ofUser is the query for one user; empty for all.
func ofUser(user string) string {
	if user == "" {
		return ""
	}
	return "?" + url.Values{"user": {user}}.Encode()
}

type pushRetryVerb struct {
	admin
	User string `help:"Only those of one user."`
}

func (v *pushRetryVerb) Run(a *app) error {
	body := map[string]string{}
	if v.User != "" {
		body["user"] = v.User
	}
	return v.changeDead(a, "POST", "/v1/push/dead/retry", body, "sent again")
}

type pushDropVerb struct {
	admin
	User string `help:"Only those of one user."`
}

func (v *pushDropVerb) Run(a *app) error {
	return v.changeDead(a, "DELETE", "/v1/push/dead"+ofUser(v.User), nil, "deleted")
}

// changeDead changes notifications that were given up, and says how many.
func (v *admin) changeDead(a *app, method, path string, body any, done string) error {
	o, err := v.connect(a)
	if err != nil {
		return err
	}
	defer o.close()
	var got struct {
		Jobs int `json:"jobs"`
	}
	if err := o.do(a.ctx, method, path, body, &got); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%d notifications are %s\n", got.Jobs, done)
	return nil
}

type pushKeyVerb struct{}

func (*pushKeyVerb) Help() string {
	return `For push.webpush_key_file of the nodes of a cluster, which all have the same one. A single node makes its own.

Example:

    roomtide push key > /etc/roomtide/webpush.key`
}

func (*pushKeyVerb) Run(a *app) error {
	secret, err := server.NewVAPIDKey()
	if err == nil {
		_, err = fmt.Fprintln(a.stdout, secret)
	}
	return err
}
