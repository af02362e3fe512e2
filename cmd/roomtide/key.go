package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/server"
	"github.com/roomtide/roomtide/store"
)

type keyVerb struct {
	Add    addKeyVerb    `cmd:"" help:"Make a key and print it, this once."`
	List   listKeyVerb   `cmd:"" help:"List the keys."`
	Revoke revokeKeyVerb `cmd:"" help:"Make a key worthless, within seconds."`
}

type addKeyVerb struct {
	place
	Name  string   `arg:"" help:"What the key is for, in your words."`
	Scope []string `default:"*" help:"What it may do: send, read, rooms, users, metrics, admin, or * for all."`
}

func (*addKeyVerb) Help() string {
	return `Example:

    roomtide key add "shop back end" --scope send,rooms`
}

func (v *addKeyVerb) Run(a *app) error {
	if strings.TrimSpace(v.Name) == "" {
		return usageError("the key needs a name: what it is for")
	}
	if err := chat.CheckName("name", v.Name, longest); err != nil {
		return argument(err)
	}
	raw, key, err := identity.NewKey(v.Name, v.Scope)
	if err != nil {
		return argument(err)
	}
	return v.withKeys(a, func(c store.Control) error {
		if err := c.SaveKey(a.ctx, store.APIKey(key)); err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "Key %s. It is shown only now; send it as \"Authorization: Bearer KEY\".\n", key.ID)
		_, err := fmt.Fprintln(a.stdout, raw)
		return err
	})
}

type listKeyVerb struct{ place }

func (v *listKeyVerb) Run(a *app) error {
	return v.withKeys(a, func(c store.Control) error {
		keys, err := c.Keys(a.ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tNAME\tSCOPES\tMADE\tREVOKED")
		for _, k := range keys {
			fmt.Fprintf(w, "%s\t%q\t%s\t%s\t%s\n", k.ID, k.Name, strings.Join(k.Scopes, ","), day(k.Created), day(k.Revoked))
		}
		return w.Flush()
	})
}

type revokeKeyVerb struct {
	place
	ID string `arg:"" name:"id" help:"The key's id, as \"roomtide key list\" shows it."`
}

func (v *revokeKeyVerb) Run(a *app) error {
	return v.withKeys(a, func(c store.Control) error {
		keys, err := c.Keys(a.ctx)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if k.ID != v.ID {
				continue
			}
			if k.Revoked != 0 { // the first time stays on record
				_, err := fmt.Fprintf(a.stdout, "key %s (%q) was revoked on %s already\n", k.ID, k.Name, day(k.Revoked))
				return err
			}
			k.Revoked = time.Now().UnixMilli()
			if err := c.SaveKey(a.ctx, k); err != nil {
				return err
			}
			_, err := fmt.Fprintf(a.stdout, "key %s (%q) is revoked; a running node refuses it within %s\n", k.ID, k.Name, identity.KeysAge)
			return err
		}
		return fmt.Errorf("there is no key %q; \"roomtide key list\" shows them", v.ID)
	})
}

// withKeys runs f with the control database of the node, which may be running.
func (p *place) withKeys(a *app, f func(store.Control) error) error {
	cfg, err := p.load(a)
	if err != nil {
		return err
	}
	c, err := server.OpenControl(a.ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Close())
}

func day(unixMilli int64) string {
	if unixMilli == 0 {
		return "-"
	}
	return time.UnixMilli(unixMilli).UTC().Format("2006-01-02 15:04")
}
