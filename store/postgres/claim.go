package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roomtide/roomtide/store/sqldb"
)

// claim keeps other nodes from opening the shard while this one has it: a lock of the
// session that is the lane's connection, which nodes that use the shard together share.
// It is a courtesy; a second owner is kept from writing by the epoch in each commit.
type claim struct {
	// Set once.
	o     *sqldb.Options
	id    int64
	reads *engine
	none  bool // no lock is taken

	// Guarded by mu.
	mu    sync.Mutex
	taken bool // at open
}

func newClaim(o *sqldb.Options, d *database) *claim {
	return &claim{o: o, id: lockID(o.Prefix, "shard"), reads: d.engine, none: o.Node == "" || d.pooled}
}

// take claims the shard at open. Through a pooler, where no lock can be held, leases of
// nodes that share the shard keep out one that does not.
func (c *claim) take(ctx context.Context, lane *engine) error {
	if !c.none {
		if err := lane.with(ctx, func(*pgx.Conn) error { return nil }); err != nil {
			return fail("open", c.o.Name, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.taken = true
	}
	if c.o.Node == "" || c.o.Shared {
		return nil
	}
	return c.o.Alone(ctx, c.reads)
}

// connected locks with a new connection of the lane. When the connection before it has
// been lost the server may not know that yet, and its lock stands: then the name of the
// node says whose it is.
func (c *claim) connected(ctx context.Context, conn *pgx.Conn) error {
	if c.none {
		return nil
	}
	c.mu.Lock()
	taken := c.taken
	c.mu.Unlock()
	var err error
	together := ""
	if c.o.Shared {
		together = "_shared"
	}
	if taken {
		var locked bool
		err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock"+together+"($1)", c.id).Scan(&locked)
		if err == nil && !locked {
			return c.compare(ctx)
		}
	} else {
		_, err = conn.Exec(ctx, fmt.Sprintf("BEGIN; SET LOCAL lock_timeout = %d; SELECT pg_advisory_lock%s(%d); COMMIT", claimWait.Milliseconds(), together, c.id))
		if sqlState(err) == lockNotAvailable {
			return c.refused(ctx)
		}
	}
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, c.reads.sql(noteNode), c.o.Node)
	return err
}

// noteNode notes the name of the node that has the claim, or of the last that shares it.
const noteNode = "INSERT INTO {meta} (name, value) VALUES ('node', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

// claimWait is how long an open waits for the claim: that of a node which was killed
// ends a moment later.
const claimWait = 2 * time.Second

// compare accepts a lock that stands if this node holds it. Nodes that share the shard
// are not in each other's way: the lock that stands is that of a node which does not.
func (c *claim) compare(ctx context.Context) error {
	if c.o.Shared {
		return c.refused(ctx)
	}
	if by, err := sqldb.Meta(ctx, c.reads, "node"); err != nil || by == c.o.Node {
		return err
	}
	return c.refused(ctx)
}

// refused is the error for a lock that others hold. A lease names a node that runs; the
// one that is noted may be gone.
func (c *claim) refused(ctx context.Context) error {
	if !c.o.Shared {
		if err := c.o.Alone(ctx, c.reads); err != nil {
			return err
		}
	}
	return c.o.Claimed(ctx, c.reads)
}
