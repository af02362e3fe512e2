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
	"github.com/roomtide/roomtide/internal/clientaddr"
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
		if user != "" && scope != identity.ScopeRead {
			c.cfg.Verifier.Speaks(user)
		}
	case user != "" && user != id.User:
		return chat.E(chat.Forbidden, "a token speaks for its own user only")
	case id.Kind == identity.Guest:
		network := clientaddr.Network(c.cfg.ClientIP(c.r)) // of this machine and of proxies too
		c.actor.Network = &network
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
	creds := append(bearers(c.r.Header), c.queryTokens()...)
	if len(creds) == 0 {
		if err := c.cfg.NoGuest(c.r); err != nil {
			c.misdirected = !c.cfg.Known(c.r)
			return nil, "", err
		}
		id, err = c.cfg.Verifier.Hello(c.ctx, "", name)
		return id, chat.UserID(name), err
	}
	if len(creds) > 1 {
		return nil, "", chat.E(chat.Unauthed, "there is more than one credential")
	}
	id, err = c.verify(creds[0])
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

// queryTokens returns the tokens in the query of an event stream, as the value of an
// Authorization header: browsers open one without headers (EventSource). No other
// route has them, and none of them is logged. An API key does not belong there.
func (c *call) queryTokens() (creds []string) {
	if !c.tokenInQuery {
		return nil
	}
	for _, token := range c.r.URL.Query()["access_token"] {
		creds = append(creds, "Token "+token)
	}
	return creds
}

// verify reads the one credential.
func (c *call) verify(cred string) (*identity.Identity, error) {
	if token, ok := strings.CutPrefix(cred, "Token "); ok && c.tokenInQuery {
		return c.cfg.Verifier.Token(c.ctx, token)
	}
	return c.cfg.Verifier.Bearer(c.ctx, cred)
}

// ended reports whether the credential was ended, for streams that may outlive it.
func (c *call) ended() bool {
	return chat.KindOf(c.cfg.Verifier.Still(c.r.Context(), c.id)) == chat.Unauthed
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
