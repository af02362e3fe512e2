package engine

import (
	"context"
	"sync"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/lru"
)

// A profile is what is known of a user in all rooms (chat.User). The host says it,
// over HTTP or with the tokens it signs; it lies in the user's shard. Member rows
// have a copy of its name and avatar, which follows by the outbox (package
// projection), and messages the name that their author had.

const (
	// profilesKept is how many profiles the engine remembers.
	profilesKept = 8 << 10
	// profileAge is how long one counts. Another node may have changed it meanwhile.
	profileAge = 30 * time.Second
	// greetTime is how long a request or a connection waits for the profile of its user.
	greetTime = 2 * time.Second
)

// profiles remembers profiles that were read lately, so that neither a client that
// comes back nor a back end that sends costs a read of the user's shard.
type profiles struct {
	mu sync.Mutex

	// Guarded by mu.
	byUser *lru.Map[chat.UserID, profile]
}

type profile struct {
	name, avatar string
	named        int64
	known        bool // something was said of the user
	read         time.Time
}

func newProfiles() profiles {
	return profiles{byUser: lru.New[chat.UserID, profile](profilesKept)}
}

func (p *profiles) put(u *chat.User, now time.Time) {
	p.set(u.ID, profile{u.Name, u.Avatar, u.Named, true, now})
}

func (p *profiles) set(user chat.UserID, v profile) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.byUser.Get(user); !ok || !old.read.After(v.read) { // else it was changed while v was read
		p.byUser.Put(user, v)
	}
}

func (p *profiles) forget(user chat.UserID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byUser.Delete(user)
}

func (p *profiles) get(user chat.UserID, now time.Time) (profile, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.byUser.Get(user)
	return v, ok && now.Sub(v.read) < profileAge
}

// profile returns the name and the avatar of the user's profile, and whether there
// is one. If it cannot be read there is none: a name is no reason to refuse anything.
func (e *Engine) profile(ctx context.Context, user chat.UserID) (profile, bool) {
	if v, ok := e.profiles.get(user, e.cfg.Now()); ok {
		return v, v.known
	}
	return e.readProfile(ctx, user)
}

// readProfile is profile by the store.
func (e *Engine) readProfile(ctx context.Context, user chat.UserID) (profile, bool) {
	now := e.cfg.Now()
	us, err := e.cfg.Store.User(user).Users(ctx, []chat.UserID{user})
	if err != nil {
		e.cfg.Log.Debug("a profile cannot be read", "user", user, "err", err)
		return profile{}, false
	}
	v := profile{read: now}
	if len(us) == 1 {
		u := &us[0]
		v = profile{u.Name, u.Avatar, u.Named, true, now}
	}
	e.profiles.set(user, v)
	return v, v.known
}

// ownName reports whether the actor's name replaces that of a member: it is a
// guest's, or one that the back end gives for a room.
func (a *Actor) ownName() bool { return (a.Guest || a.Server) && a.Name != "" }

// Claims is what a token says of its user, nil: nothing.
type Claims struct {
	Name, Avatar *string
	Issued       time.Time // zero: the token does not say
}

// Greet brings the user's profile in step with a token, and returns the user's name
// and avatar. A token that was issued before something else was said of the user
// changes nothing. Greet never refuses, and does not wait for a database that is down:
// if the profile cannot be read soon it returns what the token says and writes nothing, which
// the next token does.
func (e *Engine) Greet(ctx context.Context, user chat.UserID, c Claims) (name, avatar string) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Patience)
	defer cancel()
	soon, stop := context.WithTimeout(ctx, greetTime)
	now, _ := e.profile(soon, user)
	stop()
	said := profile{name: deref(c.Name, now.name), avatar: deref(c.Avatar, now.avatar)}
	if now.read.IsZero() { // it cannot be read
		return said.name, said.avatar
	}
	at := e.cfg.Now().UnixMilli()
	if !c.Issued.IsZero() {
		at = min(at, c.Issued.UnixMilli()+999) // iat has whole seconds
	}
	if said.name == now.name && said.avatar == now.avatar || at < now.named {
		return now.name, now.avatar
	}
	r, err := e.cfg.Lanes.Do(ctx, &change.SetUser{User: user, Name: c.Name, Avatar: c.Avatar, At: at, ByToken: true})
	if err != nil {
		e.cfg.Log.Debug("a profile does not follow its user's token", "user", user, "err", err)
		return said.name, said.avatar
	}
	e.profiles.put(&r.User, e.cfg.Now())
	e.cfg.UserChanged(user, false)
	return r.User.Name, r.User.Avatar
}

func deref(s *string, otherwise string) string {
	if s == nil {
		return otherwise
	}
	return *s
}

// stampNames fills in what profiles say, for changes that write a name elsewhere.
func (e *Engine) stampNames(ctx context.Context, c change.Change) {
	switch c := c.(type) {
	case *change.Send:
		if c.Server && c.Name == "" {
			u, _ := e.profile(ctx, c.User)
			c.Known = u.name
		}
	case *change.SetMember:
		if c.Role != chat.RoleNone {
			u, _ := e.profile(ctx, c.User)
			c.Known, c.Avatar = u.name, u.avatar
		}
	}
}

// recheckNames gives a member row the name and avatar of the profile as it is now, if
// they are not those that the row was made with: the profile may have changed while
// the row was written, and been carried into the user's rooms before this one was
// among them. It is among them by now (Engine.project).
func (e *Engine) recheckNames(ctx context.Context, m *chat.Member, name, avatar string) {
	u, known := e.readProfile(ctx, m.User)
	if !known || u.name == name && u.avatar == avatar {
		return
	}
	c := &change.Rename{Room: m.Room, User: m.User, Name: u.name, Avatar: u.avatar}
	if _, err := e.cfg.Lanes.Do(ctx, c); err != nil {
		e.cfg.Log.Debug("a member's name does not follow the profile", "user", m.User, "room", m.Room, "err", err)
	}
}

// checkAbout checks what is kept about a user, a room or a member; nil: not given.
func (e *Engine) checkAbout(name, avatar, data *string) error {
	l := &e.cfg.Limits
	if name != nil {
		if err := chat.CheckName("name", *name, l.NameBytes); err != nil {
			return err
		}
	}
	if avatar != nil {
		if err := chat.CheckAvatar(*avatar, l); err != nil {
			return err
		}
	}
	if data != nil {
		return chat.CheckAbout(*data, l)
	}
	return nil
}
