package main

import (
	"fmt"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/roomtide/roomtide/webhook"
)

type webhookVerb struct {
	List   listWebhooksVerb  `cmd:"" default:"withargs" help:"List the webhooks: what they get, and how they are doing."`
	Add    addWebhookVerb    `cmd:"" help:"Add a webhook, which gets what happens from now on."`
	Set    setWebhookVerb    `cmd:"" help:"Change a webhook: where, what, enabled or not, its secret."`
	Remove removeWebhookVerb `cmd:"" help:"Remove a webhook, with all that it did not get."`
	Test   testWebhookVerb   `cmd:"" help:"Send an event of the type webhook.test, and say what came of it."`
	Replay replayWebhookVerb `cmd:"" help:"Deliver again what has happened since a time."`
	Dead   deadWebhookVerb   `cmd:"" help:"List the events that a webhook did not get."`
	Retry  retryWebhookVerb  `cmd:"" help:"Deliver the events that a webhook did not get."`
}

// oneWebhook is the part of a verb that says which.
type oneWebhook struct {
	admin
	ID string `arg:"" help:"Id of the webhook."`
}

// order asks the node about one webhook.
func (v *oneWebhook) order(a *app, method, path string, body, out any) error {
	o, err := v.connect(a)
	if err != nil {
		return err
	}
	defer o.close()
	return o.do(a.ctx, method, "/v1/webhooks/"+url.PathEscape(v.ID)+path, body, out)
}

type listWebhooksVerb struct {
	admin
	JSON bool `name:"json" help:"Print JSON."`
}

func (v *listWebhooksVerb) Run(a *app) error {
	o, err := v.connect(a)
	if err != nil {
		return err
	}
	defer o.close()
	var answer struct {
		Webhooks []webhook.Status `json:"webhooks"`
	}
	if err := o.do(a.ctx, "GET", "/v1/webhooks", nil, &answer); err != nil {
		return err
	}
	if v.JSON {
		return printJSON(a.stdout, answer)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tURL\tKINDS\tROOMS\tBATCH\tLAG\tDEAD\tSTATE")
	for _, s := range answer.Webhooks {
		kinds, rooms := "all", "all"
		if len(s.Kinds) > 0 {
			kinds = strings.Trim(strings.Join(strings.Fields(fmt.Sprint(s.Kinds)), ","), "[]")
		}
		if len(s.Rooms) > 0 {
			rooms = strings.Join(s.Rooms, ",")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", s.ID, plain(s.URL), kinds, plain(rooms), s.Batch, count(s.Lag), count(int64(s.Dead)), plain(webhookState(&s)))
	}
	return w.Flush()
}

// webhookState says how a webhook is doing.
func webhookState(s *webhook.Status) string {
	switch {
	case !s.Enabled && s.Reason != "":
		return "disabled: " + s.Reason
	case !s.Enabled:
		return "disabled"
	case s.Failing != nil:
		return "failing since " + s.Failing.Format(time.RFC3339) + ": " + s.Error
	}
	return "ok"
}

type addWebhookVerb struct {
	admin
	To       string   `arg:"" name:"webhook-url" help:"Where events are delivered, such as https://www.example.org/hooks/chat."`
	Kinds    []string `placeholder:"KIND" help:"Kinds of events, such as message.created,member.joined. Default: all but user.online and user.offline."`
	Rooms    []string `placeholder:"ROOM" help:"Rooms, such as lobby or shop-*. Default: all."`
	Batch    int      `default:"1" help:"Events in a request at most, up to 100."`
	Insecure bool     `help:"The URL may be http: messages can then be read on the way."`
}

func (v *addWebhookVerb) Run(a *app) error {
	o, err := v.connect(a)
	if err != nil {
		return err
	}
	defer o.close()
	body := map[string]any{"url": v.To, "batch": v.Batch, "insecure": v.Insecure}
	if len(v.Kinds) > 0 {
		body["kinds"] = v.Kinds
	}
	if len(v.Rooms) > 0 {
		body["rooms"] = v.Rooms
	}
	var answer secretAnswer
	if err := o.do(a.ctx, "POST", "/v1/webhooks", body, &answer); err != nil {
		return err
	}
	return answer.show(a)
}

// secretAnswer is a webhook with a new secret.
type secretAnswer struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// show prints the secret alone on the output, for scripts.
func (s *secretAnswer) show(a *app) error {
	fmt.Fprintf(a.stderr, "Webhook %s. It signs with this secret, which is not shown again:\n", s.ID)
	_, err := fmt.Fprintln(a.stdout, s.Secret)
	return err
}

type setWebhookVerb struct {
	oneWebhook
	To        *string  `name:"to" placeholder:"URL" help:"Another address."`
	Kinds     []string `placeholder:"KIND" help:"Other kinds of events; all for every one."`
	Rooms     []string `placeholder:"ROOM" help:"Other rooms; * for every one."`
	Batch     *int     `placeholder:"N" help:"Events in a request at most."`
	Enabled   *bool    `negatable:"" help:"Whether it gets events. One that is enabled again gets what happens from then on."`
	Rotate    bool     `help:"Make a new secret. Both sign until --one-secret."`
	OneSecret bool     `help:"The newest secret alone signs from now on."`
}

func (v *setWebhookVerb) Run(a *app) error {
	body := map[string]any{}
	if v.To != nil {
		body["url"] = *v.To
	}
	if len(v.Kinds) > 0 {
		body["kinds"] = without(v.Kinds, "all")
	}
	if len(v.Rooms) > 0 {
		body["rooms"] = without(v.Rooms, "*")
	}
	if v.Batch != nil {
		body["batch"] = *v.Batch
	}
	if v.Enabled != nil {
		body["enabled"] = *v.Enabled
	}
	if v.Rotate {
		body["rotate"] = true
	}
	if v.OneSecret {
		body["one_secret"] = true
	}
	if len(body) == 0 {
		return usageError("what shall be changed? \"roomtide webhook set --help\" lists it")
	}
	var answer secretAnswer
	if err := v.order(a, "PATCH", "", body, &answer); err != nil || answer.Secret == "" {
		return err
	}
	return answer.show(a)
}

// without is a list, or none if it is the one word for all.
func without(list []string, all string) []string {
	if len(list) == 1 && list[0] == all {
		return []string{}
	}
	return list
}

type removeWebhookVerb struct{ oneWebhook }

func (v *removeWebhookVerb) Run(a *app) error { return v.order(a, "DELETE", "", nil, nil) }

type testWebhookVerb struct{ oneWebhook }

func (v *testWebhookVerb) Run(a *app) error {
	var t webhook.Tested
	if err := v.order(a, "POST", "/test", nil, &t); err != nil {
		return err
	}
	if !t.OK {
		return fmt.Errorf("after %d ms: %s", t.Took, t.Error)
	}
	fmt.Fprintf(a.stdout, "taken in %d ms\n", t.Took)
	return nil
}

type replayWebhookVerb struct {
	oneWebhook
	From string `required:"" placeholder:"TIME" help:"A time such as 2026-01-02T15:04:05Z, or how long ago, such as 2h."`
}

func (v *replayWebhookVerb) Run(a *app) error {
	from, err := time.Parse(time.RFC3339, v.From)
	if ago, e := time.ParseDuration(v.From); e == nil && ago > 0 {
		from, err = time.Now().Add(-ago), nil
	}
	if err != nil {
		return usageError("--from is a time such as 2026-01-02T15:04:05Z, or how long ago, such as 2h")
	}
	return v.order(a, "POST", "/replay", map[string]any{"from": from.UTC()}, nil)
}

type deadWebhookVerb struct {
	oneWebhook
	JSON bool `name:"json" help:"Print JSON, a line for each event."`
	Drop bool `help:"Forget them instead."`
}

func (v *deadWebhookVerb) Run(a *app) error {
	if v.Drop {
		return v.order(a, "DELETE", "/dead", nil, nil)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	if !v.JSON {
		fmt.Fprintln(w, "TIME\tKIND\tROOM\tREV\tEVENT\tREASON")
	}
	for after := ""; ; {
		var page struct {
			Dead []webhook.Dead `json:"dead"`
			More bool           `json:"more"`
		}
		if err := v.order(a, "GET", "/dead?after="+url.QueryEscape(after), nil, &page); err != nil {
			return err
		}
		for _, d := range page.Dead {
			after = d.ID
			if v.JSON {
				if err := printJSON(a.stdout, d); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", d.Time.Format(time.RFC3339), d.Kind, plain(d.Room), d.Rev, d.Event, plain(d.Reason))
		}
		if !page.More {
			return w.Flush()
		}
	}
}

type retryWebhookVerb struct{ oneWebhook }

func (v *retryWebhookVerb) Run(a *app) error {
	for total := 0; ; {
		var out webhook.Retried
		if err := v.order(a, "POST", "/retry", nil, &out); err != nil {
			return err
		}
		total += out.Delivered
		switch {
		case out.Error != "":
			return fmt.Errorf("%s delivered, %s left: %s", count(int64(total)), count(int64(out.Left)), out.Error)
		case out.Left == 0 || out.Delivered == 0:
			fmt.Fprintf(a.stdout, "%s delivered\n", count(int64(total)))
			return nil
		}
	}
}
