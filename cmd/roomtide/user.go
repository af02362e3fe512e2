package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/roomtide/roomtide/chat"
)

type userVerb struct {
	Show     showUserVerb    `cmd:"" help:"Show what is known of a user."`
	Set      setUserVerb     `cmd:"" help:"Say what a user is called in all rooms."`
	Revoke   revokeUserVerb  `cmd:"" help:"End the tokens and connections of a user."`
	Messages userMessageVerb `cmd:"" help:"Delete the messages of a user."`
}

type showUserVerb struct {
	backEnd
	User string `arg:"" help:"The user."`
}

func (*showUserVerb) Help() string { return "The key needs the scope read." }

func (v *showUserVerb) Run(a *app) error {
	var answer json.RawMessage
	err := v.call(a, http.MethodGet, []string{"users", v.User}, nil, nil, &answer)
	if refusedAs(err, chat.NotFound) {
		return fmt.Errorf("nothing was said of a user %q in all rooms; names that members have in a room are shown by \"roomtide member list\"", v.User)
	}
	if err != nil {
		return err
	}
	return v.printUser(a, answer)
}

func (b *backEnd) printUser(a *app, answer json.RawMessage) error {
	var u struct {
		User, Name, Avatar string
		Data               json.RawMessage
	}
	if err := json.Unmarshal(answer, &u); err != nil {
		return err
	}
	return b.print(a, answer, func(line func(name, value string)) {
		line("user", u.User)
		line("name", u.Name)
		line("avatar", u.Avatar)
		line("data", string(u.Data))
	})
}

type setUserVerb struct {
	backEnd
	User   string  `arg:"" help:"The user."`
	Name   *string `help:"Display name."`
	Avatar *string `help:"A picture: an https address, or a path of your site."`
	Data   *string `placeholder:"JSON" help:"JSON of your application, which everybody can read; {} takes it away."`
}

func (*setUserVerb) Help() string {
	return `What is not given stays as it is. The key needs the scope users.

Example:

    roomtide user set alice --name "Alice A." --avatar /avatars/alice.png`
}

func (v *setUserVerb) Run(a *app) error {
	data, err := aboutJSON(v.Data)
	if err != nil {
		return err
	}
	body := map[string]any{}
	if v.Name != nil {
		body["name"] = *v.Name
	}
	if v.Avatar != nil {
		body["avatar"] = *v.Avatar
	}
	if data != nil {
		body["data"] = data
	}
	if len(body) == 0 {
		return usageError("what is to change? give --name, --avatar or --data")
	}
	var answer json.RawMessage
	if err := v.call(a, http.MethodPut, []string{"users", v.User}, nil, body, &answer); err != nil {
		return err
	}
	return v.printUser(a, answer)
}

type revokeUserVerb struct {
	backEnd
	User        string `arg:"" help:"The user."`
	Connections bool   `help:"End the connections alone: tokens stay good, and clients come back with them."`
}

func (*revokeUserVerb) Help() string {
	return `Every token of the user that was made until now is refused from now on. Make sure first that your
application makes no new ones. The key needs the scope users. ("roomtide token revoke" does the same
on a stopped node.)`
}

func (v *revokeUserVerb) Run(a *app) error {
	var answer struct {
		NotBefore int64 `json:"not_before"`
		Closed    int   `json:"closed"`
	}
	if v.Connections {
		if err := v.call(a, http.MethodDelete, []string{"users", v.User, "connections"}, nil, nil, &answer); err != nil {
			return err
		}
		return v.done(a, map[string]any{"user": v.User, "closed": answer.Closed}, "%d connections of %s ended", answer.Closed, v.User)
	}
	if err := v.call(a, http.MethodDelete, []string{"users", v.User, "tokens"}, nil, nil, &answer); err != nil {
		return err
	}
	return v.done(a, map[string]any{"user": v.User, "not_before": answer.NotBefore, "closed": answer.Closed},
		"tokens of %s are good if they were made from %s on; %d connections ended",
		v.User, time.Unix(answer.NotBefore, 0).UTC().Format(time.RFC3339), answer.Closed)
}

type userMessageVerb struct {
	Delete deleteMessagesVerb `cmd:"" help:"Delete every message of a user, in all rooms, for good."`
}

type deleteMessagesVerb struct {
	backEnd
	User string `arg:"" help:"The user."`
	Yes  bool   `help:"Yes, delete them: there is no way back but a backup."`
}

func (*deleteMessagesVerb) Help() string {
	return `Clients see each message as deleted. It may be interrupted and run again. The key needs the scope
users.`
}

func (v *deleteMessagesVerb) Run(a *app) error {
	if !v.Yes {
		return usageError(fmt.Sprintf("this deletes every message of %q in all rooms, for good: say --yes", v.User))
	}
	next, total := "", 0
	for told := time.Now(); ; {
		q := url.Values{}
		if next != "" {
			q.Set("after", next)
		}
		var answer struct {
			Deleted int    `json:"deleted"`
			More    bool   `json:"more"`
			Next    string `json:"next"`
		}
		if err := v.call(a, http.MethodDelete, []string{"users", v.User, "messages"}, q, nil, &answer); err != nil {
			return fmt.Errorf("after %d messages: %w", total, err)
		}
		if total += answer.Deleted; !answer.More {
			break
		}
		next = answer.Next
		if time.Since(told) > progressEvery {
			told = time.Now()
			fmt.Fprintln(a.stderr, strconv.Itoa(total)+" messages")
		}
	}
	return v.done(a, map[string]any{"user": v.User, "deleted": total}, "%d messages of %s deleted", total, v.User)
}
