package server

import (
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/origin"
	"github.com/roomtide/roomtide/session"
)

// guests decides request by request whether its client may come without a token.
type guests struct {
	welcome bool // some are
	local   bool // only those that reach the node without a proxy
	hosts   origin.Hosts
	from    clientaddr.Proxies
	log     *slog.Logger
	some    *rate.Limiter // bounds the lines that clients can cause in log
}

func (s *Server) newGuests(from clientaddr.Proxies) *guests {
	return &guests{
		welcome: s.cfg.GuestsWelcome(), local: s.cfg.Guests == "auto",
		hosts: origin.NewHosts(s.cfg.Listen, s.cfg.Origins), from: from,
		log: s.log, some: rate.NewLimiter(rate.Every(time.Minute), 1),
	}
}

var (
	errToken     = chat.E(chat.Unauthed, "a token is needed")
	errHost      = chat.E(chat.Unauthed, "a token is needed: guests are not welcome under this name of the node, unless the setting origins has it")
	errForwarded = chat.E(chat.Unauthed, `a token is needed: guests are not welcome through a proxy, unless the setting guests is "on"`)
)

// refuse returns why the client of a request has to bring a token, nil if it may come
// as a guest.
//
// With "auto" a node that listens on loopback is open to this machine alone, and a
// proxy is how clients of other machines get there. The name in the Host header is judged too:
// a page whose own name points at this node (DNS rebinding) has a name that is not
// one of the node's, and so has a proxy that adds no header and passes on its own.
func (g *guests) refuse(r *http.Request) error {
	err := g.reason(r)
	if err != nil && g.welcome && g.some.Allow() {
		g.log.Warn("guests are not welcome for a request", "reason", chat.Public(err).Text, "host", r.Host, "ip", g.from.Client(r))
	}
	return err
}

// reason is refuse without a line in the log.
func (g *guests) reason(r *http.Request) error {
	switch {
	case !g.welcome:
		return errToken
	case !g.hosts.Knows(r):
		return errHost
	case g.local && clientaddr.Forwarded(r.Header):
		return errForwarded
	}
	return nil
}

func (g *guests) caller(r *http.Request) *session.Caller {
	return &session.Caller{NoGuest: g.refuse(r), Network: clientaddr.Network(g.from.Client(r))}
}

// endGuests ends the connections of guests under a name that has become one of the
// application's users.
func (s *Server) endGuests(user chat.UserID) {
	if s.cfg.GuestsWelcome() {
		s.hub.CloseGuests(user, chat.ByeRevoked)
	}
}

// known refuses requests that name another host (DNS rebinding).
func known(hosts origin.Hosts, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hosts.Knows(r) {
			http.Error(w, "this is not the name of this server: use localhost or its address", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
