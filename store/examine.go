package store

import "context"

// An Examiner is an Opener that can tell how its databases are without changing
// anything, beside a server that may be running.
type Examiner interface {
	// Examine returns the control database and every shard that the stored slot map
	// names, or Names before the first start. NotFound in Err: it is not there.
	Examine(ctx context.Context) []Examined
}

// Examined is how a database is.
type Examined struct {
	Name    string
	Where   string // for the operator: path or address, without passwords
	Version int64  // of its schema
	Known   int64  // the newest schema that this program knows
	Err     error  // why it cannot be read, nil if it can
}

// Examine tells how the databases are. An Opener that is no Examiner opens them; versions
// are not known then.
func Examine(ctx context.Context, o Opener) []Examined {
	if e, ok := o.(Examiner); ok {
		return e.Examine(ctx)
	}
	c, err := o.OpenControl(ctx, false)
	all := []Examined{{Name: "control", Err: err}}
	if err != nil {
		return all
	}
	defer c.Close() // only read
	m, err := c.Map(ctx)
	if err != nil {
		return []Examined{{Name: "control", Err: err}}
	}
	for _, name := range m.Shards {
		d, err := o.OpenShard(ctx, name, false)
		if err == nil {
			err = d.Close()
		}
		all = append(all, Examined{Name: name, Err: err})
	}
	return all
}
