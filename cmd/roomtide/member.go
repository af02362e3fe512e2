package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/roomtide/roomtide/chat"
)

type memberVerb struct {
	List   listMemberVerb   `cmd:"" help:"List the members of a room, or those it has banned or muted."`
	Add    addMemberVerb    `cmd:"" help:"Put a user into a room."`
	Role   roleMemberVerb   `cmd:"" help:"Change the role of a member."`
	Remove removeMemberVerb `cmd:"" help:"Put a user out of a room."`
	Ban    banMemberVerb    `cmd:"" help:"Ban a user from a room."`
	Unban  unbanMemberVerb  `cmd:"" help:"End a ban."`
}

// ofMembers is what verbs about one member have in common.
type ofMembers struct {
	backEnd
	Room string `arg:"" help:"The room."`
	User string `arg:"" help:"The user."`
}

// put says what the member is from now on. In a room that does not exist nothing is.
func (v *ofMembers) put(a *app, body map[string]any) error {
	var answer json.RawMessage
	if err := v.get(a, v.Room, &answer); err != nil { // a join would make it
		return err
	}
	return ofRoom(v.Room, v.call(a, http.MethodPut, []string{"rooms", v.Room, "members", v.User}, nil, body, nil))
}

type listMemberVerb struct {
	backEnd
	Room  string `arg:"" help:"The room."`
	Role  string `enum:",member,moderator,owner,banned,muted" default:"" placeholder:"ROLE" help:"Those with the role: member, moderator, owner, banned or muted. Default: all that are in the room."`
	Limit int    `default:"1000" help:"How many at most; 0 for all."`
}

func (*listMemberVerb) Help() string {
	return `The key needs the scope read.

Examples:

    roomtide member list shop-42
    roomtide member list shop-42 --role banned`
}

func (v *listMemberVerb) Run(a *app) error {
	if v.Limit < 0 {
		return usageError("--limit is how many members to list, or 0")
	}
	q := url.Values{}
	if v.Role != "" {
		q.Set("role", v.Role)
	}
	t := v.table(a, "USER", "NAME", "ROLE", "UNTIL")
	err := v.pages(a, []string{"rooms", v.Room, "members"}, q, "members", "user", v.Limit, func(entry json.RawMessage) error {
		var m struct {
			User  string     `json:"user"`
			Name  string     `json:"name"`
			Role  string     `json:"role"`
			Until *time.Time `json:"until"`
		}
		if err := json.Unmarshal(entry, &m); err != nil {
			return err
		}
		return t.row(entry, func() []string { return []string{m.User, m.Name, m.Role, minute(m.Until)} })
	})
	if err != nil {
		return ofRoom(v.Room, err)
	}
	return t.w.Flush()
}

type addMemberVerb struct {
	ofMembers
	Role string  `enum:"member,moderator,owner" default:"member" help:"member, moderator or owner."`
	Name *string `help:"Display name in this room."`
}

func (*addMemberVerb) Help() string {
	return `Who is in the room already keeps their role unless --role is given. The key needs the scopes
read and rooms.

Example:

    roomtide member add shop-42 alice --name "Alice A." --role owner`
}

func (v *addMemberVerb) Run(a *app) error {
	body := map[string]any{}
	if v.Name != nil {
		body["name"] = *v.Name
	}
	for _, flag := range a.given {
		if flag == "role" {
			body["role"] = v.Role
		}
	}
	err := v.put(a, body)
	if refusedAs(err, chat.Forbidden) && errors.As(err, new(*problem)) && body["role"] == nil {
		return fmt.Errorf("%w; \"roomtide member unban\" ends a ban", err)
	}
	if err != nil {
		return err
	}
	return v.done(a, map[string]any{"room": v.Room, "user": v.User}, "%s is in %s", v.User, v.Room)
}

// ends is when a role ends by itself.
type ends struct {
	For   time.Duration `name:"for" placeholder:"DURATION" help:"For how long, such as 24h or 30m. Default: for good."`
	Until time.Time     `placeholder:"TIME" help:"Until when, such as 2026-12-24T18:00:00+01:00."`
}

func (e *ends) time() (until *time.Time, err error) {
	switch {
	case e.For < 0 || !e.Until.IsZero() && time.Until(e.Until) < 0:
		return nil, usageError("that time is over already")
	case e.For > 0 && !e.Until.IsZero():
		return nil, usageError("give --for or --until, not both")
	case e.For > 0:
		t := time.Now().Add(e.For).UTC().Truncate(time.Millisecond)
		return &t, nil
	case !e.Until.IsZero():
		return &e.Until, nil
	}
	return nil, nil
}

// limited gives the member a role that ends at a time, or does not.
func (v *ofMembers) limited(a *app, role string, e *ends) error {
	until, err := e.time()
	if err != nil {
		return err
	}
	body := map[string]any{"role": role}
	told, words := map[string]any{"room": v.Room, "user": v.User, "role": role}, ""
	if until != nil {
		body["until"], told["until"] = until.Format(time.RFC3339Nano), until.Format(time.RFC3339Nano)
		words = " until " + minute(until)
	}
	if err := v.put(a, body); err != nil {
		return err
	}
	return v.done(a, told, "%s is %s in %s%s", v.User, role, v.Room, words)
}

type roleMemberVerb struct {
	ofMembers
	Role string `arg:"" enum:"member,moderator,owner,muted" help:"member, moderator, owner, or muted: may read and not write."`
	ends
}

func (*roleMemberVerb) Help() string {
	return `A user who is not in the room is put into it. --for and --until are for mutes. The key needs the
scopes read and rooms.

Examples:

    roomtide member role shop-42 alice moderator
    roomtide member role shop-42 mallory muted --for 1h`
}

func (v *roleMemberVerb) Run(a *app) error {
	if v.Role != "muted" && (v.For != 0 || !v.Until.IsZero()) {
		return usageError("--for and --until are for the role muted, and for \"roomtide member ban\"")
	}
	return v.limited(a, v.Role, &v.ends)
}

type removeMemberVerb struct{ ofMembers }

func (*removeMemberVerb) Help() string {
	return `A token that names the room lets its user join again: "roomtide member ban" holds against every
token. A ban stays. The key needs the scopes read and rooms.`
}

func (v *removeMemberVerb) Run(a *app) error {
	var answer json.RawMessage
	err := v.get(a, v.Room, &answer)
	if err == nil {
		err = v.call(a, http.MethodDelete, []string{"rooms", v.Room, "members", v.User}, nil, nil, nil)
	}
	if err != nil {
		return err
	}
	return v.done(a, map[string]any{"room": v.Room, "user": v.User, "role": "none"}, "%s is not in %s", v.User, v.Room)
}

type banMemberVerb struct {
	ofMembers
	ends
}

func (*banMemberVerb) Help() string {
	return `Puts the user out and refuses every join, whatever the token says. "roomtide user revoke" ends
the user's tokens as well. The key needs the scopes read and rooms.

Examples:

    roomtide member ban shop-42 mallory
    roomtide member ban shop-42 mallory --for 24h`
}

func (v *banMemberVerb) Run(a *app) error { return v.limited(a, "banned", &v.ends) }

type unbanMemberVerb struct{ ofMembers }

func (v *unbanMemberVerb) Run(a *app) error {
	if err := v.put(a, map[string]any{"role": "none", "unban": true}); err != nil {
		return err
	}
	return v.done(a, map[string]any{"room": v.Room, "user": v.User, "role": "none"}, "%s may join %s again", v.User, v.Room)
}
