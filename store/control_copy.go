package store

import (
	"bytes"
	"context"
	"fmt"
	"reflect"

	"github.com/roomtide/roomtide/chat"
)

// Founding is what makes an empty control database that of a deployment which had another
// one before: all of it keeps its numbers.
type Founding struct {
	Deployment string
	Map        *Map
	Adoption   Adoption // Generation 0: there was never one
}

// Founder is the part of Control by which one takes over what another one has.
type Founder interface {
	// Collections returns the names of the collections that have records, ascending.
	Collections(ctx context.Context) ([]string, error)

	// Found stores f, all or nothing; an id that the database has given itself is replaced.
	// Conflict if it has a slot map. It is not called while a server may make its first start
	// with the database.
	Found(ctx context.Context, f Founding) error
}

func (c *control) Collections(ctx context.Context) (names []string, err error) {
	err = c.do(ctx, "collections", func(ctx context.Context) (err error) { names, err = c.driver.Collections(ctx); return err })
	return names, err
}

func (c *control) Found(ctx context.Context, f Founding) error {
	return c.do(ctx, "found", func(ctx context.Context) error { return c.driver.Found(ctx, f) })
}

// CopyControl makes to, which has no slot map, a control database with all that from has, but
// for the leases of nodes, of which none runs. The map comes last: until then to counts as
// empty, and an interrupted copy is made again from its beginning. If to has all that from has
// already, nothing is left to do. Conflict if it is in use otherwise.
func CopyControl(ctx context.Context, from, to Control) error {
	f, err := foundingOf(ctx, from)
	if err != nil {
		return err
	}
	if _, err := to.Map(ctx); err == nil {
		return sameControl(ctx, from, to)
	} else if chat.KindOf(err) != chat.NotFound {
		return err
	}
	if err := emptyRecords(ctx, to); err != nil {
		return err
	}
	if err := copyParts(ctx, from, to); err != nil {
		return err
	}
	if err := to.Found(ctx, *f); err != nil {
		return err
	}
	return sameControl(ctx, from, to)
}

func foundingOf(ctx context.Context, c Control) (f *Founding, err error) {
	f = &Founding{}
	if f.Map, err = c.Map(ctx); err != nil {
		return nil, err
	}
	if f.Deployment, err = c.Deployment(ctx); err != nil {
		return nil, err
	}
	f.Adoption, err = c.Adoption(ctx)
	return f, err
}

// emptyRecords deletes what an interrupted copy has left: keys, moves and levels are only
// ever added and replaced, records are deleted as well.
func emptyRecords(ctx context.Context, c Control) error {
	return eachRecords(ctx, c, func(collection string, page []Record) error {
		ids := make([]string, len(page))
		for i := range page {
			ids[i] = page[i].ID
		}
		return c.DropRecords(ctx, collection, ids...)
	})
}

func copyParts(ctx context.Context, from, to Control) error {
	keys, err := from.Keys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := to.SaveKey(ctx, k); err != nil {
			return err
		}
	}
	moves, err := from.Moves(ctx)
	if err != nil {
		return err
	}
	if err := copyMoves(ctx, moves, to); err != nil {
		return err
	}
	level, err := from.Level(ctx)
	if err != nil {
		return err
	}
	if level != (Level{}) {
		if err := to.RaiseLevel(ctx, level); err != nil {
			return err
		}
	}
	return eachRecords(ctx, from, func(collection string, page []Record) error {
		return to.SaveRecords(ctx, collection, page...)
	})
}

// recordsPage is how many records are read and written at a time.
const recordsPage = 100

// eachRecords calls fn with all records of all collections, in pages.
func eachRecords(ctx context.Context, c Control, fn func(collection string, page []Record) error) error {
	names, err := c.Collections(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		for after := ""; ; {
			page, err := c.Records(ctx, name, after, recordsPage)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			if err := fn(name, page); err != nil {
				return err
			}
			after = page[len(page)-1].ID
		}
	}
	return nil
}

// sameControl returns Conflict if the two differ in anything but leases.
func sameControl(ctx context.Context, a, b Control) error {
	for what, part := range map[string]func(Control) (any, error){
		"id, slot map and state of adoption": func(c Control) (any, error) { return foundingOf(ctx, c) },
		"API keys":                           func(c Control) (any, error) { return c.Keys(ctx) },
		"moves":                              func(c Control) (any, error) { return c.Moves(ctx) },
		"level":                              func(c Control) (any, error) { return c.Level(ctx) },
		"records":                            func(c Control) (any, error) { return allRecords(ctx, c) },
	} {
		have, err := part(a)
		if err != nil {
			return err
		}
		got, err := part(b)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(have, got) {
			return &chat.Error{Kind: chat.Conflict, Op: "store.copy_control", Text: fmt.Sprintf("there is a control database already, and it is another one (%s)", what)}
		}
	}
	return nil
}

func allRecords(ctx context.Context, c Control) (all map[string][]Record, err error) {
	all = map[string][]Record{}
	err = eachRecords(ctx, c, func(collection string, page []Record) error {
		all[collection] = append(all[collection], page...)
		return nil
	})
	return all, err
}

// copyMoves saves those of the records that an interrupted copy has not saved.
func copyMoves(ctx context.Context, moves []MoveRow, to Control) error {
	have, err := to.Moves(ctx)
	if err != nil {
		return err
	}
	was := map[int64][]byte{}
	for _, m := range have {
		was[m.ID] = m.Body
	}
	for _, m := range moves {
		if bytes.Equal(m.Body, was[m.ID]) {
			continue
		}
		if err := to.SaveMove(ctx, m, was[m.ID]); err != nil {
			return err
		}
	}
	return nil
}
