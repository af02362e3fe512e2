package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/store"
)

// Together opens the databases of one deployment for several nodes.
type Together struct {
	Control func(ctx context.Context, node string) (store.Control, error)
	Shard   func(ctx context.Context, node, name, deployment string) (store.Driver, error)
}

// Run has the nodes of a new cluster start at the same time, on databases in which there
// is nothing: all of them come to the same deployment and slot map, and one of them to
// each lane.
func (h Together) Run(t *testing.T) {
	const nodes = 3
	stores, openers := make([]*store.Store, nodes), make([]*togetherOpener, nodes)
	var work sync.WaitGroup
	for i := range nodes {
		openers[i] = &togetherOpener{h: h, node: fmt.Sprint("node", i)}
		work.Go(func() {
			s, err := store.Open(ctx, openers[i], nil)
			if err != nil {
				t.Errorf("node %d: %v", i, err)
				return
			}
			stores[i] = s
			t.Cleanup(func() { must(t, s.Close()) })
		})
	}
	work.Wait()
	if t.Failed() {
		return
	}
	for i, s := range stores {
		if openers[i].deployment == "" || openers[i].deployment != openers[0].deployment {
			t.Errorf("node %d is of deployment %q, the first of %q", i, openers[i].deployment, openers[0].deployment)
		}
		if s.MapVersion() != 1 || len(s.Shards()) != 2 {
			t.Errorf("node %d has version %d of the map, and %d shards", i, s.MapVersion(), len(s.Shards()))
		}
	}
	for lane := range stores[0].Shards() {
		holders := map[string]bool{}
		for i, s := range stores {
			holders[get(s.Shards()[lane].Lease(ctx, 0, openers[i].node, time.Minute))(t).Holder] = true
		}
		if len(holders) != 1 || !holders["node0"] {
			t.Errorf("lane %d is held by %v", lane, holders)
		}
	}
}

// togetherOpener is store.Opener of one node.
type togetherOpener struct {
	h          Together
	node       string
	deployment string // set by OpenControl
}

func (o *togetherOpener) Names(bool) []string { return []string{"a", "b"} }

func (o *togetherOpener) Lock(context.Context) error { return nil }

func (o *togetherOpener) Close() error { return nil }

func (o *togetherOpener) OpenControl(ctx context.Context, _ bool) (store.Control, error) {
	c, err := o.h.Control(ctx, o.node)
	if err == nil {
		o.deployment, err = c.Deployment(ctx)
	}
	return c, err
}

func (o *togetherOpener) OpenShard(ctx context.Context, name string, _ bool) (store.Driver, error) {
	return o.h.Shard(ctx, o.node, name, o.deployment)
}
