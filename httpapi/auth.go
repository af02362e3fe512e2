package httpapi

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/limit"
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
	c.actor = engine.Actor{User: id.User, Name: id.Name, Guest: id.Kind == identity.Guest, Granted: id.Granted}
	switch {
	case id.Kind == identity.Server:
		if !id.Allows(scope) {
			return chat.E(chat.Forbidden, "this API key does not have the scope "+scope)
		}
		c.actor = engine.Actor{User: user, Server: true}
	case user != "" && user != id.User:
		return chat.E(chat.Forbidden, "a token speaks for its own user only")
	case id.Kind == identity.Token:
		c.actor.Name, _ = c.cfg.Engine.Greet(c.ctx, id.User, engine.Claims{Name: id.ClaimedName, Avatar: id.ClaimedAvatar, Issued: id.Issued})
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
	creds := bearers(c.r.Header)
	if len(creds) == 0 {
		id, err = c.cfg.Verifier.Hello(c.ctx, "", name)
		return id, chat.UserID(name), err
	}
	if len(creds) > 1 {
		return nil, "", chat.E(chat.Unauthed, "there is more than one Authorization header")
	}
	id, err = c.cfg.Verifier.Bearer(c.ctx, creds[0])
	if chat.KindOf(err) == chat.Unauthed {
		err = c.failures.count(c.cfg.Network(c.r), err)
	}
	return id, chat.UserID(name), err
}

// bearers returns the Authorization headers that are meant for this API. Those of
// other schemes are not: a password in front of a site adds Basic to every request.
func bearers(h http.Header) (creds []string) {
	for _, cred := range h.Values("Authorization") {
		if scheme, _, _ := strings.Cut(cred, " "); strings.EqualFold(scheme, "Bearer") {
			creds = append(creds, cred)
		}
	}
	return creds
}

// still verifies the credential again, for streams that may outlive it.
func (c *call) still() error {
	if c.id.Kind != identity.Server {
		return nil // a timer ends streams of tokens; guests have no end
	}
	_, err := c.cfg.Verifier.Bearer(c.r.Context(), c.r.Header.Get("Authorization"))
	return err
}

// Failed authentications of one network: failuresBurst at once, then one a
// second. Successful ones cost nothing.
const (
	failuresBurst = 50
	failuresKept  = 16 << 10 // networks remembered, see limit.RatesConfig.MaxKeys
)

// failures bounds the guessing of credentials, by the client's network. A credential
// is verified first, and a valid one is always accepted: behind a proxy, in an office
// or with a mobile provider one address is that of many clients, and a page that goes
// on with an expired token must not lock out the others. Guessing gains nothing from
// that, as what is guessed has 256 bits.
type failures struct{ rates *limit.Rates[netip.Prefix] }

func newFailures(now func() time.Time) failures {
	return failures{limit.NewRates[netip.Prefix](limit.RatesConfig{
		PerSecond: 1, Burst: failuresBurst, MaxKeys: failuresKept, Now: now,
		Op: "httpapi.auth", Text: "too many failed authentications",
	})}
}

// count counts the failure err and returns what to answer: err, or that there were too
// many. A client without a network (clientaddr.Proxies.Network) is not counted.
func (f failures) count(network netip.Prefix, err error) error {
	if !network.IsValid() {
		return err
	}
	if limited := f.rates.Take(network); limited != nil {
		return limited
	}
	return err
}
