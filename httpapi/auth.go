package httpapi

import (
	"math"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/lru"
)

// userHeader names the user: a guest's own name, or the user for whom an API key
// acts. Other characters than ASCII are percent-encoded, since browsers cannot send
// them otherwise.
const userHeader = "Roomtide-User"

// authenticate sets the identity and the actor of the request and checks the scope
// of an API key.
func (c *call) authenticate(scope string) error {
	id, user, err := c.identify()
	if err != nil {
		return err
	}
	c.id = id
	c.actor = engine.Actor{User: id.User, Name: id.Name, Granted: id.Granted}
	switch {
	case id.Kind == identity.Server:
		if !id.Allows(scope) {
			return chat.E(chat.Forbidden, "this API key does not have the scope "+scope)
		}
		c.actor = engine.Actor{User: user, Server: true}
	case user != "" && user != id.User:
		return chat.E(chat.Forbidden, "a token speaks for its own user only")
	}
	return nil
}

// identify reads the headers. user is what Roomtide-User says, empty without.
func (c *call) identify() (id *identity.Identity, user chat.UserID, err error) {
	name, err := url.PathUnescape(c.r.Header.Get(userHeader))
	if err != nil {
		return nil, "", chat.E(chat.Invalid, userHeader+" is not percent-encoded well")
	}
	if name != "" {
		if err := chat.CheckID("user", name, c.cfg.Limits.IDBytes); err != nil {
			return nil, "", err
		}
	}
	creds := c.r.Header.Values("Authorization")
	if len(creds) == 0 {
		id, err = c.cfg.Verifier.Hello(c.ctx, "", name)
		return id, chat.UserID(name), err
	}
	if len(creds) > 1 {
		return nil, "", chat.E(chat.Unauthed, "there is more than one Authorization header")
	}
	ip := c.cfg.ClientIP(c.r)
	if err := c.failures.check(ip); err != nil {
		return nil, "", err
	}
	id, err = c.cfg.Verifier.Bearer(c.ctx, creds[0])
	if chat.KindOf(err) == chat.Unauthed {
		c.failures.note(ip)
	}
	return id, chat.UserID(name), err
}

// still verifies the credential again, for streams that may outlive it.
func (c *call) still() error {
	if c.id.Kind != identity.Server {
		return nil // a timer ends streams of tokens; guests have no end
	}
	_, err := c.cfg.Verifier.Bearer(c.r.Context(), c.r.Header.Get("Authorization"))
	return err
}

// Failed authentications of one address: failuresBurst at once, then one a
// second. Right ones cost nothing.
const (
	failuresBurst = 50
	failuresKept  = 16 << 10 // addresses remembered
)

// failures bounds guessing. It is asked before a credential is looked at.
type failures struct {
	now func() time.Time

	mu sync.Mutex
	by *lru.Map[netip.Prefix, *rate.Limiter] // guarded by mu
}

func newFailures(now func() time.Time) *failures {
	return &failures{now: now, by: lru.New[netip.Prefix, *rate.Limiter](failuresKept)}
}

// check refuses an address that has failed too often.
func (f *failures) check(ip netip.Addr) error {
	now := f.now()
	f.mu.Lock()
	l, ok := f.by.Get(clientaddr.Network(ip))
	f.mu.Unlock()
	if !ok {
		return nil
	}
	tokens := l.TokensAt(now)
	if tokens >= 1 {
		return nil
	}
	return &chat.Error{
		Kind: chat.RateLimited, Op: "httpapi.auth", Text: "too many failed authentications",
		RetryAfter: int64(math.Ceil((1 - tokens) * 1000)),
	}
}

// note counts a failure.
func (f *failures) note(ip netip.Addr) {
	key := clientaddr.Network(ip)
	f.mu.Lock()
	l, ok := f.by.Get(key)
	if !ok {
		l = rate.NewLimiter(1, failuresBurst)
		f.by.Put(key, l)
	}
	f.mu.Unlock()
	l.AllowN(f.now(), 1)
}
