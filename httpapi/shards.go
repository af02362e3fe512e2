package httpapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/store"
)

// Mover moves slots between shards (mover.Mover, where the methods are specified).
type Mover interface {
	Shards(ctx context.Context) []mover.Shard
	Moves(from int64) []mover.Status
	Start(ctx context.Context, o mover.Order) ([]mover.Status, error)
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	SetRate(ctx context.Context, rate int) error
	Abort(ctx context.Context) error
}

// Admin serves the routes that need the scope admin, and no others, without asking for
// a credential: for a socket that only the operator of this machine can open.
func (a *API) Admin() http.Handler {
	mux := http.NewServeMux()
	ops := specified()
	for _, rt := range routes {
		if rt.scope == identity.ScopeAdmin {
			rt.trusted = true
			mux.HandleFunc(rt.pattern, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, rt, ops[rt.pattern]) })
		}
	}
	return mux
}

// trust makes the request that of the operator.
func (c *call) trust() {
	c.id = &identity.Identity{Kind: identity.Server, Scopes: []string{identity.ScopeAdmin}}
	c.actor = engine.Actor{Server: true}
}

func object(status int, v any) (answer, error) {
	body, err := json.Marshal(v)
	return answer{status, body}, err
}

func (c *call) listNodes() (answer, error) {
	nodes, err := c.cfg.Nodes(c.ctx)
	if err != nil {
		return answer{}, err
	}
	return object(http.StatusOK, map[string]any{"nodes": nodes})
}

func (c *call) listShards() (answer, error) {
	return object(http.StatusOK, map[string]any{"shards": c.cfg.Mover.Shards(c.ctx)})
}

func (c *call) listMoves() (answer, error) { return c.movesFrom(http.StatusOK, 0) }

// movesFrom answers with the moves from an ID on.
func (c *call) movesFrom(status int, id int64) (answer, error) {
	moves := c.cfg.Mover.Moves(id)
	if moves == nil {
		moves = []mover.Status{}
	}
	return object(status, map[string]any{"moves": moves})
}

func (c *call) startMove() (answer, error) {
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var o mover.Order
	var slots string
	for _, err := range []error{
		f.get("slots", "a text such as \"0-99,200\"", &slots), f.get("from", "a list of names of shards", &o.From),
		f.get("to", "a list of names of shards", &o.To), f.get("rate", "a number of rows a second", &o.Rate),
		f.get("keep", "a number of seconds", &o.Keep),
	} {
		if err != nil {
			return answer{}, err
		}
	}
	if slots != "" {
		if o.Slots, err = store.ParseSlots(slots); err != nil {
			return answer{}, err
		}
	}
	moves, err := c.cfg.Mover.Start(c.ctx, o)
	if err != nil {
		return answer{}, err
	}
	return c.movesFrom(http.StatusAccepted, moves[0].ID)
}

func (c *call) changeMoves() (answer, error) {
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var paused bool
	var rate int
	if err := f.get("paused", "true or false", &paused); err != nil {
		return answer{}, err
	}
	if err := f.get("rate", "a number of rows a second", &rate); err != nil {
		return answer{}, err
	}
	if !f.has("paused") && !f.has("rate") {
		return answer{}, chat.E(chat.Invalid, "say what to change: paused, rate or both")
	}
	if f.has("rate") {
		if err := c.cfg.Mover.SetRate(c.ctx, rate); err != nil {
			return answer{}, err
		}
	}
	switch {
	case f.has("paused") && paused:
		err = c.cfg.Mover.Pause(c.ctx)
	case f.has("paused"):
		err = c.cfg.Mover.Resume(c.ctx)
	}
	if err != nil {
		return answer{}, err
	}
	return c.listMoves()
}

func (c *call) abortMoves() (answer, error) {
	if err := c.cfg.Mover.Abort(c.ctx); err != nil {
		return answer{}, err
	}
	return c.movesFrom(http.StatusAccepted, 0)
}
