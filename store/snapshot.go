package store

import "context"

// A Snapshotter is an Opener whose databases are files, which a tool can copy while a
// node uses them.
type Snapshotter interface {
	// Snapshot notes one instant of all databases together: what was committed before
	// it, in any of them, is in the snapshot, and nothing else. It needs no lock and no
	// stopped node; commits are held up for some milliseconds. NotFound if a database is
	// missing, Unavailable if it does not get in between the commits of the node.
	Snapshot(ctx context.Context) (Snapshot, error)
}

// Snapshot is the state of all databases of a deployment at one instant. It is used by
// one goroutine. While it is open, databases that are written to need more space.
type Snapshot interface {
	// Map is the slot map.
	Map() *Map

	// Files describes the databases, the control database last.
	Files() []SnapshotFile

	// Copy writes the database of that name as a new file, for its owner alone. progress
	// is called now and then with the bytes that are written. ReadOnly if the disk of the
	// copy is full; what was written is left there, and is not yet synced to the disk.
	Copy(ctx context.Context, name, path string, progress func(written int64)) error

	Close() error
}

// SnapshotFile describes a database of a snapshot.
type SnapshotFile struct {
	Name   string
	Bytes  int64
	Schema int64               // version of its tables
	Lanes  map[LaneID]Position // where the lanes of a shard stand
}
