package store

import "context"

// Control is the small database beside the shards: the slot map, the moves of slots,
// the API keys, the leases of nodes, the level of the data, records, and whether another
// chat moves in. A driver's errors and calls are as Driver says; those of
// Store.Control have a deadline, are counted, and fail with *chat.Error.
type Control interface {
	// Deployment returns the id of the deployment: a random text that the first call
	// makes and stores. Shards are stamped with it, so that no other deployment
	// takes them for its own.
	Deployment(ctx context.Context) (string, error)

	// Map returns the newest slot map. NotFound before the first SaveMap.
	Map(ctx context.Context) (*Map, error)

	// SaveMap stores m if its Version is one more than the stored one (or 1 at
	// first), Conflict otherwise.
	SaveMap(ctx context.Context, m *Map) error

	// Keys returns all API keys in order of creation, revoked ones included.
	Keys(ctx context.Context) ([]APIKey, error)

	// SaveKey inserts or replaces the key with k.ID.
	SaveKey(ctx context.Context, k APIKey) error

	// Renew notes that the node is alive until the given time (Unix milliseconds),
	// and forgets nodes whose lease ended more than LeaseKept before that.
	Renew(ctx context.Context, node string, until int64) error

	// Nodes returns the nodes whose lease ends after now (Unix milliseconds).
	Nodes(ctx context.Context, now int64) ([]string, error)

	MoveLog
	LevelLog
	RecordLog
	AdoptionLog
	Founder

	Close() error
}

// LeaseKept is how long the lease of a node that does not come back is kept, in
// milliseconds: a day.
const LeaseKept = 24 * 60 * 60 * 1000

// APIKey is a credential of the host's back end. The secret itself is shown
// once, when it is made, and not kept.
type APIKey struct {
	ID      string   // public part, names the key in logs and lists
	Hash    []byte   // SHA-256 of the secret part
	Name    string   // what it is for, in words of its owner
	Scopes  []string // see package identity
	Created int64    // Unix milliseconds
	Revoked int64    // Unix milliseconds, 0 while it works
}

// control is a driver's Control with what Store adds to every call.
type control struct {
	caller
	driver Control
}

// newControl returns c with deadlines, counters and kinds; nil for nil.
func newControl(c Control, m *metrics, b *Bounds) Control {
	if c == nil {
		return nil
	}
	return &control{caller{name: "control", metrics: m, bounds: b}, c}
}

func (c *control) Deployment(ctx context.Context) (id string, err error) {
	err = c.do(ctx, "deployment", func(ctx context.Context) (err error) { id, err = c.driver.Deployment(ctx); return err })
	return id, err
}

func (c *control) Map(ctx context.Context) (m *Map, err error) {
	err = c.do(ctx, "map", func(ctx context.Context) (err error) { m, err = c.driver.Map(ctx); return err })
	return m, err
}

func (c *control) SaveMap(ctx context.Context, m *Map) error {
	return c.do(ctx, "save_map", func(ctx context.Context) error { return c.driver.SaveMap(ctx, m) })
}

func (c *control) Keys(ctx context.Context) (keys []APIKey, err error) {
	err = c.do(ctx, "keys", func(ctx context.Context) (err error) { keys, err = c.driver.Keys(ctx); return err })
	return keys, err
}

func (c *control) SaveKey(ctx context.Context, k APIKey) error {
	return c.do(ctx, "save_key", func(ctx context.Context) error { return c.driver.SaveKey(ctx, k) })
}

func (c *control) Renew(ctx context.Context, node string, until int64) error {
	return c.do(ctx, "renew", func(ctx context.Context) error { return c.driver.Renew(ctx, node, until) })
}

func (c *control) Nodes(ctx context.Context, now int64) (nodes []string, err error) {
	err = c.do(ctx, "nodes", func(ctx context.Context) (err error) { nodes, err = c.driver.Nodes(ctx, now); return err })
	return nodes, err
}

func (c *control) Close() error { return c.driver.Close() }
