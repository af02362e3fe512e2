package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/server"
)

type revokeTokenVerb struct {
	place
	User string `required:"" help:"User id, the tokens' sub."`
	URL  string `name:"url" env:"ROOMTIDE_URL" default:"http://127.0.0.1:8080" help:"URL of the running node."`
	Key  string `env:"ROOMTIDE_KEY" placeholder:"KEY" help:"API key with the scope users, for a running node; the environment keeps it out of the list of processes. Without it the node has to be stopped."`
}

func (*revokeTokenVerb) Help() string {
	return `Tokens that were made until now are refused from now on, whoever signed them, and what they have
opened is ended. Make sure first that your application makes no new ones. It does not end API keys
("roomtide key revoke"). For a running node it is the same as "roomtide user revoke"; this one
works on the data of a stopped node too.

Examples:

    ROOMTIDE_KEY=rtk_... roomtide token revoke --user mallory
    roomtide token revoke --user mallory --data-dir /var/lib/roomtide    # the node is stopped`
}

func (v *revokeTokenVerb) Run(a *app) error {
	var (
		notBefore int64
		closed    int
		err       error
	)
	if err := checkUser(v.User); err != nil {
		return err
	}
	if v.Key != "" {
		notBefore, closed, err = v.ask(a)
	} else {
		notBefore, err = v.offline(a)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "tokens of %s are good if they were made from %s on; %d connections ended\n",
		v.User, time.Unix(notBefore, 0).UTC().Format(time.RFC3339), closed)
	return err
}

// offline writes to the databases of a stopped node.
func (v *revokeTokenVerb) offline(a *app) (notBefore int64, err error) {
	cfg, err := v.load(a)
	if err != nil {
		return 0, err
	}
	notBefore, err = server.EndTokens(a.ctx, cfg, chat.UserID(v.User))
	if chat.KindOf(err) == chat.Unavailable {
		err = fmt.Errorf("%s; a running node is asked with an API key of the scope users: --key or ROOMTIDE_KEY", words(err))
	}
	return notBefore, err
}

// ask has the running node do it.
func (v *revokeTokenVerb) ask(a *app) (notBefore int64, closed int, err error) {
	base, err := client.HTTP(v.URL)
	if err != nil {
		return 0, 0, usageError("--url: " + err.Error())
	}
	req, err := http.NewRequestWithContext(a.ctx, http.MethodDelete, base+"/v1/users/"+url.PathEscape(v.User)+"/tokens", nil)
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Authorization", "Bearer "+v.Key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	var answer struct {
		NotBefore int64  `json:"not_before"`
		Closed    int    `json:"closed"`
		Detail    string `json:"detail"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&answer); err != nil {
		return 0, 0, fmt.Errorf("%s answers %s: is that a roomtide node?", v.URL, resp.Status)
	}
	if resp.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("%s answers: %s", v.URL, answer.Detail)
	}
	return answer.NotBefore, answer.Closed, nil
}
