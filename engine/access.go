package engine

import (
	"context"
	"sync"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/lru"
)

// accessKept is how many users' Access is remembered, at least; an entry has about
// 150 bytes.
const accessKept = 64 << 10

// access is what is kept of users for authentication, as this node remembers it. It
// is right as long as this node makes every change of it, or hears of those that other
// nodes make (Engine.ForgetUser).
type access struct {
	mu sync.Mutex

	// Guarded by mu.
	known   *lru.Map[chat.UserID, remembered]
	forgets uint64 // how often something was forgotten
}

// remembered is what a node knows of a user.
type remembered struct {
	chat.Access
	whole bool // what the store said is in it; else it is a change of this node and nothing more
}

func newAccess() access {
	return access{known: lru.New[chat.UserID, remembered](accessKept)}
}

func (m *access) get(user chat.UserID) (remembered, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known.Get(user)
}

// raise makes what is remembered of the user at least a, and returns it. Nothing of
// an Access is ever taken back, so the order of those that know more does not count.
func (m *access) raise(a chat.Access) chat.Access {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.merged(remembered{Access: a})
	m.known.Put(a.User, r)
	return r.Access
}

// merged is r with what is remembered of its user. mu is held.
func (m *access) merged(r remembered) remembered {
	if was, ok := m.known.Get(r.User); ok {
		r.NotBefore = max(r.NotBefore, was.NotBefore)
		r.Claimed = r.Claimed || was.Claimed
		r.whole = r.whole || was.whole
	}
	return r
}

// forget lets the store be asked for the user again.
func (m *access) forget(user chat.UserID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgets++
	m.known.Delete(user)
}

// forgetAll lets the store be asked for every user again.
func (m *access) forgetAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgets++
	m.known = newAccess().known
}

// forgotten is how often something was forgotten until now.
func (m *access) forgotten() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.forgets
}

// learn is raise with what the store said, after a count of forgotten. What was read
// while something was forgotten may be older than that, and is not remembered. A change
// of this node that is not committed yet counts in both cases.
func (m *access) learn(a chat.Access, forgotten uint64) chat.Access {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.merged(remembered{Access: a, whole: true})
	if m.forgets == forgotten {
		m.known.Put(a.User, r)
	}
	return r.Access
}

// Access returns what is kept of the user; the zero Access if there is nothing.
// Errors: Busy, Unavailable, Internal.
func (e *Engine) Access(ctx context.Context, user chat.UserID) (chat.Access, error) {
	if r, ok := e.access.get(user); ok && r.whole && e.cfg.Hears() {
		return r.Access, nil
	}
	return within(ctx, e, func(ctx context.Context) (chat.Access, error) { return e.lookUp(ctx, user) })
}

// lookUp asks the store what is kept of the user.
func (e *Engine) lookUp(ctx context.Context, user chat.UserID) (chat.Access, error) {
	forgotten := e.access.forgotten()
	limiter := e.lookups.of(user.Slot())
	if err := limiter.Acquire(ctx); err != nil {
		return chat.Access{}, err
	}
	defer limiter.Release()
	a, err := e.cfg.Store.User(user).Access(ctx, user)
	if err != nil && chat.KindOf(err) != chat.NotFound {
		return chat.Access{}, err
	}
	a.User = user
	return e.access.learn(a, forgotten), nil
}

// Claim records that the application has a user with this id, which no guest may
// use from now on, and ends the connections that guests have under it. It does not
// wait for the commit: should that fail, the next Claim tries again.
func (e *Engine) Claim(user chat.UserID) {
	if r, ok := e.access.get(user); ok && r.Claimed {
		return
	}
	e.access.raise(chat.Access{User: user, Claimed: true})
	e.cfg.Claimed(user)
	e.cfg.Lanes.Submit(&change.Access{User: user, Claim: true}, func(_ change.Reply, err error) {
		if err != nil {
			e.cfg.Log.Debug("an id will be claimed later", "user", user, "err", err)
			e.access.forget(user)
			return
		}
		e.cfg.UserChanged(user, true)
	})
}

// EndTokens refuses every token of the user that was made before the returned time,
// Unix seconds: the next whole second. A token has whole seconds, so one that is to
// be good at once has that time as its iat. What the tokens have opened is the
// caller's to end. The id is claimed with it (Claim). If ctx ends first, or patience, the
// error is Unavailable and the tokens may still end: then this node and others learn of it
// with the commit.
func (e *Engine) EndTokens(ctx context.Context, user chat.UserID) (notBefore int64, err error) {
	if err := chat.CheckID("user", string(user), e.cfg.Limits.IDBytes); err != nil {
		return 0, err
	}
	from := e.cfg.Now().Unix() + 1
	type outcome struct {
		notBefore int64
		err       error
	}
	ended := make(chan outcome, 1)
	e.cfg.Lanes.Submit(&change.Access{User: user, NotBefore: from, Claim: true}, func(_ change.Reply, err error) {
		if err != nil {
			ended <- outcome{err: err}
			return
		}
		a := e.access.raise(chat.Access{User: user, NotBefore: from, Claimed: true})
		e.cfg.UserChanged(user, true)
		ended <- outcome{notBefore: a.NotBefore}
	})
	return within(ctx, e, func(ctx context.Context) (int64, error) {
		select {
		case o := <-ended:
			return o.notBefore, o.err
		case <-ctx.Done():
			err := unanswered("engine.end_tokens")
			err.Subject, err.Err = string(user), ctx.Err()
			return 0, err
		}
	})
}

// ForgetUser has the store asked for the user again: another node has changed what is
// kept of them.
func (e *Engine) ForgetUser(user chat.UserID) {
	e.access.forget(user)
	e.profiles.forget(user)
}

// ForgetUsers is ForgetUser for all users: changes that other nodes have made may not
// have been heard of.
func (e *Engine) ForgetUsers() { e.access.forgetAll() }
