package followtest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// replica is a copy of the table that is kept by keys alone: what a follower's caller
// stores.
type replica struct {
	t testing.TB
	s Subject

	keys, batches, kills int

	// Guarded by mu.
	mu   sync.Mutex
	rows map[source.Key]string
}

func newReplica(t testing.TB, s Subject) *replica {
	return &replica{t: t, s: s, rows: map[source.Key]string{}}
}

// KnownKeys has the replica as what is known of the table.
func (r *replica) KnownKeys(_ context.Context, after source.Key, limit int) ([]source.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Sorted(maps.Keys(r.rows))
	i, found := slices.BinarySearch(all, after)
	if found {
		i++
	}
	return all[i:min(i+limit, len(all))], nil
}

// begin copies the table as it is, after the position was noted.
func (r *replica) begin(ctx context.Context) string {
	r.t.Helper()
	position, err := follow.Begin(ctx, r.s.Config)
	if err == nil {
		r.rows, err = r.read(ctx, "")
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return position
}

// read reads rows of the source.
func (r *replica) read(ctx context.Context, where string) (map[source.Key]string, error) {
	rows, err := r.s.DB.QueryContext(ctx, "SELECT id, body FROM messages "+where)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[source.Key]string{}
	for rows.Next() {
		var key, body string
		if err := rows.Scan(&key, &body); err != nil {
			return nil, err
		}
		all[source.Key(key)] = body
	}
	return all, rows.Err()
}

// apply reads rows by their keys, until the source answers, and stores what they are.
func (r *replica) apply(ctx context.Context, keys []source.Key) {
	if len(keys) == 0 {
		return
	}
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = string(k) // they are integers
	}
	there, err := r.read(ctx, "WHERE id IN ("+strings.Join(list, ", ")+")")
	for ; err != nil; there, err = r.read(ctx, "WHERE id IN ("+strings.Join(list, ", ")+")") {
		if ctx.Err() != nil {
			r.t.Fatal(err)
		}
		pause(20 * time.Millisecond)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range keys {
		delete(r.rows, k)
		if body, ok := there[k]; ok {
			r.rows[k] = body
		}
	}
}

// follow applies what the follower yields until the writers are done and the replica is
// the same as the table. The follower may be killed with any batch: before it was
// applied, or before its position was stored.
func (r *replica) follow(ctx context.Context, position string, done <-chan struct{}) {
	r.t.Helper()
	f := r.open(ctx, position)
	defer func() { f.Close() }()
	for !r.complete(ctx, done) {
		keys, at, err := r.next(ctx, f)
		if err != nil {
			r.t.Fatalf("%v; %s", err, r.differs(context.WithoutCancel(ctx)))
		}
		if at == "" {
			continue // nothing came for a while
		}
		r.batches++
		r.keys += len(keys)
		death := rand.IntN(r.s.Deaths)
		if death != 0 {
			r.apply(ctx, keys)
		}
		if death > 1 {
			position = at
			continue
		}
		r.kills++
		f.Close()
		f = r.open(ctx, position)
	}
}

// next asks for a batch, for a while: nothing may be left to be seen.
func (r *replica) next(ctx context.Context, f follow.Follower) ([]source.Key, string, error) {
	step, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for {
		keys, at, err := f.Next(step)
		if err == nil {
			return keys, at, nil
		}
		if ctx.Err() != nil || !chat.KindOf(err).Retryable() {
			return nil, "", err
		}
		if step.Err() != nil {
			return nil, "", nil
		}
		pause(20 * time.Millisecond)
	}
}

func (r *replica) open(ctx context.Context, position string) follow.Follower {
	r.t.Helper()
	config := r.s.Config
	config.Known = r
	for {
		f, err := follow.Open(ctx, config, position)
		if err == nil {
			return f
		}
		if !chat.KindOf(err).Retryable() || ctx.Err() != nil {
			r.t.Fatal(err)
		}
		pause(20 * time.Millisecond)
	}
}

// complete reports whether nothing is written any more, and the replica is whole.
func (r *replica) complete(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return r.differs(ctx) == ""
	default:
		return false
	}
}

// differs says how the replica differs from the table.
func (r *replica) differs(ctx context.Context) string {
	table, err := r.read(ctx, "")
	if err != nil {
		return err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	missing, other, extra := 0, 0, 0
	for k, body := range table {
		if mine, ok := r.rows[k]; !ok {
			missing++
		} else if mine != body {
			other++
		}
	}
	for k := range r.rows {
		if _, ok := table[k]; !ok {
			extra++
		}
	}
	if missing+other+extra == 0 {
		return ""
	}
	return fmt.Sprintf("of %d rows %d are missing, %d differ and %d should not be there", len(table), missing, other, extra)
}
