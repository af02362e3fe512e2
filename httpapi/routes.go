package httpapi

import (
	"cmp"
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

	tokenInQuery bool // a token may be in the query instead of a header
	trusted      bool // without a credential: of Admin
}

var routes = []route{
	{pattern: "GET /v1/rooms", scope: identity.ScopeRead, do: (*call).listRooms},
	{pattern: "GET /v1/rooms/{room}", scope: identity.ScopeRead, do: (*call).getRoom},
	{pattern: "PUT /v1/rooms/{room}", scope: identity.ScopeRooms, do: (*call).putRoom},
	{pattern: "DELETE /v1/rooms/{room}", scope: identity.ScopeRooms, do: (*call).deleteRoom},
	{pattern: "GET /v1/rooms/{room}/messages", scope: identity.ScopeRead, do: (*call).listMessages},
	{pattern: "POST /v1/rooms/{room}/messages", scope: identity.ScopeSend, do: (*call).postMessage},
	{pattern: "GET /v1/rooms/{room}/messages/by-key/{key}", scope: identity.ScopeSend, do: (*call).getSent},
	{pattern: "POST /v1/messages", scope: identity.ScopeSend, do: (*call).postMessages},
	{pattern: "PATCH /v1/rooms/{room}/messages/{seq}", scope: identity.ScopeSend, do: (*call).editMessage},
	{pattern: "DELETE /v1/rooms/{room}/messages/{seq}", scope: identity.ScopeSend, do: (*call).deleteMessage},
	{pattern: "PUT /v1/rooms/{room}/messages/{seq}/reactions/{emoji}", scope: identity.ScopeSend, do: (*call).putReaction},
	{pattern: "DELETE /v1/rooms/{room}/messages/{seq}/reactions/{emoji}", scope: identity.ScopeSend, do: (*call).deleteReaction},
	{pattern: "GET /v1/rooms/{room}/changes", scope: identity.ScopeRead, do: (*call).listChanges},
	{pattern: "PUT /v1/rooms/{room}/read", scope: identity.ScopeSend, do: (*call).markRead},
	{pattern: "POST /v1/rooms/{room}/typing", scope: identity.ScopeSend, do: (*call).typing},
	{pattern: "GET /v1/rooms/{room}/online", scope: identity.ScopeRead, do: (*call).listOnline},
	{pattern: "GET /v1/rooms/{room}/members", scope: identity.ScopeRead, do: (*call).listMembers},
	{pattern: "PUT /v1/rooms/{room}/members/{user}", scope: identity.ScopeRooms, do: (*call).putMember},
	{pattern: "DELETE /v1/rooms/{room}/members/{user}", scope: identity.ScopeRooms, do: (*call).deleteMember},
	{pattern: "GET /v1/rooms/{room}/events", scope: identity.ScopeRead, do: (*call).events, tokenInQuery: true},
	{pattern: "GET /v1/users", scope: identity.ScopeRead, do: (*call).listUsers},
	{pattern: "GET /v1/users/{user}", scope: identity.ScopeRead, do: (*call).getUser},
	{pattern: "PUT /v1/users/{user}", scope: identity.ScopeUsers, do: (*call).putUser},
	{pattern: "GET /v1/users/{user}/unread", scope: identity.ScopeRead, do: (*call).unread},
	{pattern: "GET /v1/users/{user}/presence", scope: identity.ScopeRead, do: (*call).getReach},
	{pattern: "DELETE /v1/users/{user}/messages", scope: identity.ScopeUsers, do: (*call).deleteMessages},
	{pattern: "DELETE /v1/users/{user}/connections", scope: identity.ScopeUsers, do: (*call).closeConnections},
	{pattern: "DELETE /v1/users/{user}/tokens", scope: identity.ScopeUsers, do: (*call).endTokens},
	{pattern: "POST /v1/import", scope: identity.ScopeAdopt, do: (*call).importBatch},
	{pattern: "GET /v1/feeds", scope: identity.ScopeAdopt, do: (*call).listFeeds},
	{pattern: "PUT /v1/feeds/{feed}", scope: identity.ScopeAdopt, do: (*call).putFeed},
	{pattern: "GET /v1/feeds/{feed}", scope: identity.ScopeAdopt, do: (*call).readFeed},
	{pattern: "DELETE /v1/feeds/{feed}", scope: identity.ScopeAdopt, do: (*call).deleteFeed},
	{pattern: "GET /v1/adoption", scope: identity.ScopeSend, do: (*call).getAdoption},
	{pattern: "PUT /v1/adoption", scope: identity.ScopeAdopt, do: (*call).putAdoption},
	{pattern: "POST /v1/users/{user}/notifications", scope: identity.ScopeSend, do: (*call).notifyUser},
	{pattern: "POST /v1/rooms/{room}/notifications", scope: identity.ScopeSend, do: (*call).notifyRoom},
	{pattern: "GET /v1/push/dead", scope: identity.ScopeAdmin, do: (*call).listDead},
	{pattern: "POST /v1/push/dead/retry", scope: identity.ScopeAdmin, do: (*call).retryDead},
	{pattern: "DELETE /v1/push/dead", scope: identity.ScopeAdmin, do: (*call).dropDead},
	{pattern: "POST /v1/push/test", scope: identity.ScopeAdmin, do: (*call).tryPush},
	{pattern: "GET /v1/users/{user}/devices", scope: identity.ScopeRead, do: (*call).listDevices},
	{pattern: "PUT /v1/users/{user}/devices/{device}", scope: identity.ScopeUsers, do: (*call).putDevice},
	{pattern: "DELETE /v1/users/{user}/devices/{device}", scope: identity.ScopeUsers, do: (*call).deleteDevice},
	{pattern: "GET /v1/users/{user}/push", scope: identity.ScopeRead, do: (*call).listPush},
	{pattern: "PUT /v1/users/{user}/push", scope: identity.ScopeUsers, do: (*call).putPush},
	{pattern: "PUT /v1/users/{user}/push/{room}", scope: identity.ScopeUsers, do: (*call).putPush},
	{pattern: "GET /v1/nodes", scope: identity.ScopeAdmin, do: (*call).listNodes},
	{pattern: "GET /v1/shards", scope: identity.ScopeAdmin, do: (*call).listShards},
	{pattern: "GET /v1/moves", scope: identity.ScopeAdmin, do: (*call).listMoves},
	{pattern: "POST /v1/moves", scope: identity.ScopeAdmin, do: (*call).startMove},
	{pattern: "PATCH /v1/moves", scope: identity.ScopeAdmin, do: (*call).changeMoves},
	{pattern: "DELETE /v1/moves", scope: identity.ScopeAdmin, do: (*call).abortMoves},
	{pattern: "GET /v1/webhooks", scope: identity.ScopeAdmin, do: (*call).listWebhooks},
	{pattern: "POST /v1/webhooks", scope: identity.ScopeAdmin, do: (*call).addWebhook},
	{pattern: "PATCH /v1/webhooks/{webhook}", scope: identity.ScopeAdmin, do: (*call).changeWebhook},
	{pattern: "DELETE /v1/webhooks/{webhook}", scope: identity.ScopeAdmin, do: (*call).removeWebhook},
	{pattern: "POST /v1/webhooks/{webhook}/replay", scope: identity.ScopeAdmin, do: (*call).replayWebhook},
	{pattern: "POST /v1/webhooks/{webhook}/test", scope: identity.ScopeAdmin, do: (*call).testWebhook},
	{pattern: "GET /v1/webhooks/{webhook}/dead", scope: identity.ScopeAdmin, do: (*call).listDeadEvents},
	{pattern: "DELETE /v1/webhooks/{webhook}/dead", scope: identity.ScopeAdmin, do: (*call).dropDeadEvents},
	{pattern: "POST /v1/webhooks/{webhook}/retry", scope: identity.ScopeAdmin, do: (*call).retryDeadEvents},
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

	tokenInQuery bool // of the route
	misdirected  bool // refused for the name of the node in it
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
	c := &call{API: a, w: w, r: r, op: op, ctx: ctx, room: chat.RoomID(r.PathValue("room")), tokenInQuery: rt.tokenInQuery}
	ans, err := c.run(rt)
	if err != nil || ans.status != 0 {
		c.tellBudget(err)
	}
	if err == nil && ans.status != 0 {
		err = c.write(ans)
	}
	switch {
	case c.misdirected:
		writeProblem(w, http.StatusMisdirectedRequest, chat.Public(err))
	case err != nil:
		a.fail(w, r, err)
	}
}

func (c *call) run(rt route) (answer, error) {
	if rt.trusted {
		c.trust()
	} else if err := c.authenticate(rt.scope); err != nil {
		return answer{}, err
	}
	if (rt.scope == identity.ScopeAdmin || rt.scope == identity.ScopeAdopt) && c.id.Kind != identity.Server {
		return answer{}, chat.E(chat.Forbidden, "this is for API keys with the scope "+rt.scope)
	}
	if err := cmp.Or(c.checkQuery(), c.checkAdoption()); err != nil {
		return answer{}, err
	}
	ans, err := rt.do(c)
	if err != nil && c.id.Kind != identity.Server {
		c.cfg.Engine.Refused(c.actor, chat.KindOf(err))
	}
	return ans, err
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	if body != nil {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	w.Write(body) // fails only when the peer is gone
}
