package httpapi

import (
	"context"
	"net/http"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/wire"
)

// route is one operation of the specification that needs an identity.
type route struct {
	pattern string
	scope   string // what an API key needs; the engine checks the permissions of users
	do      func(*call) (answer, error)
}

var routes = []route{
	{"GET /v1/rooms", identity.ScopeRead, (*call).listRooms},
	{"GET /v1/rooms/{room}", identity.ScopeRead, (*call).getRoom},
	{"PUT /v1/rooms/{room}", identity.ScopeRooms, (*call).putRoom},
	{"GET /v1/rooms/{room}/messages", identity.ScopeRead, (*call).listMessages},
	{"POST /v1/rooms/{room}/messages", identity.ScopeSend, (*call).postMessage},
	{"PATCH /v1/rooms/{room}/messages/{seq}", identity.ScopeSend, (*call).editMessage},
	{"DELETE /v1/rooms/{room}/messages/{seq}", identity.ScopeSend, (*call).deleteMessage},
	{"PUT /v1/rooms/{room}/messages/{seq}/reactions/{emoji}", identity.ScopeSend, (*call).putReaction},
	{"DELETE /v1/rooms/{room}/messages/{seq}/reactions/{emoji}", identity.ScopeSend, (*call).deleteReaction},
	{"GET /v1/rooms/{room}/changes", identity.ScopeRead, (*call).listChanges},
	{"PUT /v1/rooms/{room}/read", identity.ScopeSend, (*call).markRead},
	{"POST /v1/rooms/{room}/typing", identity.ScopeSend, (*call).typing},
	{"GET /v1/rooms/{room}/online", identity.ScopeRead, (*call).listOnline},
	{"GET /v1/rooms/{room}/members", identity.ScopeRead, (*call).listMembers},
	{"PUT /v1/rooms/{room}/members/{user}", identity.ScopeRooms, (*call).putMember},
	{"DELETE /v1/rooms/{room}/members/{user}", identity.ScopeRooms, (*call).deleteMember},
	{"GET /v1/rooms/{room}/events", identity.ScopeRead, (*call).events},
	{"GET /v1/users", identity.ScopeRead, (*call).listUsers},
	{"GET /v1/users/{user}", identity.ScopeRead, (*call).getUser},
	{"PUT /v1/users/{user}", identity.ScopeUsers, (*call).putUser},
	{"DELETE /v1/users/{user}/connections", identity.ScopeUsers, (*call).closeConnections},
}

func (a *API) routes() *http.ServeMux {
	mux := http.NewServeMux()
	ops := specified()
	for _, rt := range routes {
		op := ops[rt.pattern]
		mux.HandleFunc(rt.pattern, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, rt, op) })
	}
	mux.HandleFunc("GET /healthz", a.healthz)
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.HandleFunc("GET /metrics", a.serveMetrics)
	mux.HandleFunc("GET /openapi.json", serveSpec)
	return mux
}

// call is one request and its handler's state.
type call struct {
	*API
	w     http.ResponseWriter
	r     *http.Request
	op    operation
	ctx   context.Context
	id    *identity.Identity
	actor engine.Actor
	room  chat.RoomID // of {room}, decoded; it may hold slashes
}

// answer is the result of a handler. The zero answer means that the response was
// written already.
type answer struct {
	status int
	body   []byte // nil: none
}

func reply(status int, r wire.Reply) answer { return answer{status, wire.AppendReply(nil, r)} }

var done = answer{status: http.StatusNoContent}

func (a *API) serve(w http.ResponseWriter, r *http.Request, rt route, op operation) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTime)
	defer cancel()
	c := &call{API: a, w: w, r: r, op: op, ctx: ctx, room: chat.RoomID(r.PathValue("room"))}
	ans, err := c.run(rt)
	switch {
	case err != nil:
		a.fail(w, r, err)
	case ans.status != 0:
		writeJSON(w, ans.status, ans.body)
	}
}

func (c *call) run(rt route) (answer, error) {
	if err := c.authenticate(rt.scope); err != nil {
		return answer{}, err
	}
	if err := c.checkQuery(); err != nil {
		return answer{}, err
	}
	return rt.do(c)
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	if body != nil {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	w.Write(body) // fails only when the peer is gone
}
