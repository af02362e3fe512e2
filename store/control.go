package store

import "context"

// Control is the small database beside the shards: the slot map, the API keys
// and the leases of nodes. Kinds as for Driver.
type Control interface {
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
	Name    string   // what it is for, in the owner's words
	Scopes  []string // see package identity
	Created int64    // Unix milliseconds
	Revoked int64    // Unix milliseconds, 0 while it works
}
