package main

import (
	"fmt"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/server"
)

type tokenVerb struct {
	Make   makeTokenVerb   `cmd:"" default:"withargs" help:"Make a token for a user."`
	Revoke revokeTokenVerb `cmd:"" help:"End every token of a user, and what they have opened."`
}

type makeTokenVerb struct {
	place
	User string        `required:"" help:"User id, the token's sub."`
	Name string        `help:"Display name."`
	Room []chat.RoomID `sep:"none" placeholder:"ROOM" help:"A room the user may join even if it is closed; * is all. May be repeated."`
	TTL  time.Duration `name:"ttl" default:"24h" help:"How long the token is good."`
}

func (*makeTokenVerb) Help() string {
	return `Signs with the secret in the data dir, which the first start of the node has made. Your
application makes such tokens itself, with that secret or with keys of its own (see auth in
"roomtide config doc").

Examples:

    roomtide token --user alice --name "Alice A."
    roomtide token --user alice --room board --room staff --ttl 15m`
}

// check refuses what the node would refuse in the token.
func (v *makeTokenVerb) check() error {
	if err := chat.CheckName("name", v.Name, longest); err != nil {
		return argument(err)
	}
	for _, room := range v.Room {
		if err := checkRoom(string(room)); err != nil {
			return err
		}
	}
	return nil
}

func (v *makeTokenVerb) Run(a *app) error {
	if err := v.check(); err != nil {
		return err
	}
	cfg, err := v.load(a)
	if err != nil {
		return err
	}
	secret, err := server.Secret(cfg, false)
	if err != nil {
		return err
	}
	token, err := identity.Mint(secret, chat.UserID(v.User), v.Name, v.Room, v.TTL)
	if err != nil {
		return argument(err)
	}
	_, err = fmt.Fprintln(a.stdout, token)
	return err
}
