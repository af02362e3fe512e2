package storetest

import (
	"bytes"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// RunControl holds a driver to the contract of store.Control. open returns an
// empty control database, and closes it when the test ends.
func RunControl(t *testing.T, open func(t *testing.T) store.Control) {
	for name, check := range map[string]func(*testing.T, store.Control){
		"Deployment": checkDeployment, "Map": checkMap, "MapRace": checkMapRace, "Keys": checkAPIKeys, "Nodes": checkNodes, "Moves": checkMoves, "Level": checkLevel, "Records": checkRecords,
		"Adoption": checkAdoption, "Found": checkFound,
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t)
			t.Logf("driver %T", c)
			check(t, c)
		})
	}
}

// Calls at the same time, as of two nodes that start together, get one id.
func checkDeployment(t *testing.T, c store.Control) {
	ids := make([]string, 6)
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() { ids[i], errs[i] = c.Deployment(ctx) })
	}
	wg.Wait()
	for i := range ids {
		must(t, errs[i])
		same(t, "deployment", ids[i], ids[0])
	}
	if len(ids[0]) < 20 || len(ids[0]) > 64 {
		t.Errorf("the id of the deployment is %q", ids[0])
	}
	same(t, "deployment, later", get(c.Deployment(ctx))(t), ids[0])
	_, err := c.Map(ctx)
	wantKind(t, err, chat.NotFound) // an id is no first start
}

func checkMap(t *testing.T, c store.Control) {
	_, err := c.Map(ctx)
	wantKind(t, err, chat.NotFound)
	m := store.NewMap([]string{"a", "b", "c"})
	m.Version = 2
	wantKind(t, c.SaveMap(ctx, m), chat.Conflict) // the first is 1
	m.Version = 1
	must(t, c.SaveMap(ctx, m))
	same(t, "map", *get(c.Map(ctx))(t), *m)
	wantKind(t, c.SaveMap(ctx, m), chat.Conflict)
	m.Version, m.Owner[17], m.Base, m.Rising = 2, 0, 1<<50+1, 1<<51+1
	m.Shards = append(m.Shards, "d")
	must(t, c.SaveMap(ctx, m))
	same(t, "newer map", *get(c.Map(ctx))(t), *m)
	m.Version = 4
	wantKind(t, c.SaveMap(ctx, m), chat.Conflict)
	m.Version, m.Owner[3] = 3, 99
	wantKind(t, c.SaveMap(ctx, m), chat.Invalid) // names a shard that is none
	same(t, "version", get(c.Map(ctx))(t).Version, 2)
}

func checkMapRace(t *testing.T, c store.Control) {
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = c.SaveMap(ctx, store.NewMap([]string{"a"})) })
	}
	wg.Wait()
	saved := 0
	for _, err := range errs {
		if err == nil {
			saved++
		} else {
			wantKind(t, err, chat.Conflict)
		}
	}
	same(t, "maps saved", saved, 1)
}

func checkAPIKeys(t *testing.T, c store.Control) {
	same(t, "keys at first", get(c.Keys(ctx))(t), nil)
	keys := []store.APIKey{
		{ID: "z", Hash: []byte{0, 1, 255}, Name: "shop's \"back end\"", Scopes: []string{"send", "rooms"}, Created: 5},
		{ID: "a", Hash: []byte{2}, Created: 5}, // made after z
		{ID: "m", Hash: []byte{3}, Name: "later", Scopes: []string{"send"}, Created: 9},
	}
	for _, i := range []int{2, 0, 1} {
		must(t, c.SaveKey(ctx, keys[i]))
	}
	same(t, "keys", get(c.Keys(ctx))(t), keys)
	keys[0].Revoked, keys[0].Name = 77, "shop"
	must(t, c.SaveKey(ctx, keys[0])) // keeps its place
	same(t, "keys, one revoked", get(c.Keys(ctx))(t), keys)
}

func checkNodes(t *testing.T, c store.Control) {
	same(t, "nodes at first", get(c.Nodes(ctx, 0))(t), nil)
	must(t, c.Renew(ctx, "n1", 100))
	must(t, c.Renew(ctx, "n2", 200))
	same(t, "both", len(get(c.Nodes(ctx, 99))(t)), 2)
	same(t, "a lease that ends now is over", get(c.Nodes(ctx, 100))(t), []string{"n2"})
	must(t, c.Renew(ctx, "n1", 300))
	same(t, "renewed", get(c.Nodes(ctx, 250))(t), []string{"n1"})
	same(t, "all over", get(c.Nodes(ctx, 300))(t), nil)
	must(t, c.Renew(ctx, "n3", 200+store.LeaseKept))
	same(t, "leases of a day ago are kept", get(c.Nodes(ctx, 0))(t), []string{"n1", "n2", "n3"})
	must(t, c.Renew(ctx, "n3", 201+store.LeaseKept))
	same(t, "older ones are not", get(c.Nodes(ctx, 0))(t), []string{"n1", "n3"})
}

func checkMoves(t *testing.T, c store.Control) {
	same(t, "moves at first", get(c.Moves(ctx))(t), nil)
	rows := []store.MoveRow{{ID: 1, Body: []byte("{}")}, {ID: 2, Body: []byte{0, 255, '\''}}, {ID: 1 << 40, Body: []byte("3")}}
	for _, i := range []int{2, 0, 1} {
		must(t, c.SaveMove(ctx, rows[i], nil))
	}
	same(t, "moves", get(c.Moves(ctx))(t), rows)
	was := rows[1].Body
	rows[1].Body = bytes.Repeat([]byte("long "), 20_000)
	must(t, c.SaveMove(ctx, rows[1], was))
	same(t, "moves, one replaced", get(c.Moves(ctx))(t), rows)
	wantKind(t, c.SaveMove(ctx, store.MoveRow{ID: 1, Body: []byte("again")}, nil), chat.Conflict)
	wantKind(t, c.SaveMove(ctx, store.MoveRow{ID: 2, Body: []byte("late")}, was), chat.Conflict)
	wantKind(t, c.SaveMove(ctx, store.MoveRow{ID: 3, Body: []byte("none")}, was), chat.Conflict)
	same(t, "moves, none replaced", get(c.Moves(ctx))(t), rows)
}

func checkLevel(t *testing.T, c store.Control) {
	same(t, "level at first", get(c.Level(ctx))(t), store.Level{})
	for _, l := range []store.Level{{Number: 1, Version: "v1.0.0"}, {Number: 2, Version: "v1.4.0"}, {Number: 1, Version: "v1.1.0"}, {Number: 2, Version: "v2.0.0"}} {
		must(t, c.RaiseLevel(ctx, l))
	}
	same(t, "level", get(c.Level(ctx))(t), store.Level{Number: 2, Version: "v1.4.0"})
	must(t, c.RaiseLevel(ctx, store.Level{Number: 10, Version: "v3 \"x\""}))
	same(t, "level, raised", get(c.Level(ctx))(t), store.Level{Number: 10, Version: "v3 \"x\""})
}

func checkRecords(t *testing.T, c store.Control) {
	same(t, "records at first", get(c.Records(ctx, "a", "", 10))(t), nil)
	rs := []store.Record{{ID: "1", Body: []byte("{}")}, {ID: "1 ", Body: []byte{0, 255, '\''}}, {ID: "2", Body: []byte("x")}, {ID: "Ü", Body: []byte("y")}}
	must(t, c.SaveRecords(ctx, "a", rs[3], rs[0]))
	must(t, c.SaveRecords(ctx, "a", rs[2], rs[1]))
	must(t, c.SaveRecords(ctx, "A", store.Record{ID: "1", Body: []byte("another collection")}))
	must(t, c.SaveRecords(ctx, "a"))
	same(t, "records", get(c.Records(ctx, "a", "", 10))(t), rs)
	same(t, "a page of them", get(c.Records(ctx, "a", "1", 2))(t), rs[1:3])
	same(t, "how many", get(c.CountRecords(ctx, "a"))(t), 4)
	same(t, "how many of none", get(c.CountRecords(ctx, "b"))(t), 0)
	rs[0].Body = bytes.Repeat([]byte("long "), 20_000)
	must(t, c.SaveRecords(ctx, "a", rs[0]))
	must(t, c.DropRecords(ctx, "a", "2", "unknown", "Ü"))
	must(t, c.DropRecords(ctx, "a"))
	same(t, "what is left", get(c.Records(ctx, "a", "", 10))(t), rs[:2])
	same(t, "the other collection", len(get(c.Records(ctx, "A", "", 10))(t)), 1)
}

func checkAdoption(t *testing.T, c store.Control) {
	same(t, "adoption before there is one", get(c.Adoption(ctx))(t), store.Adoption{})
	a := store.Adoption{Generation: 1, Source: "shop", State: store.AdoptionCopying, Changed: 1000}
	must(t, c.SaveAdoption(ctx, a))
	same(t, "adoption", get(c.Adoption(ctx))(t), a)
	wantKind(t, c.SaveAdoption(ctx, a), chat.Conflict)
	next := store.Adoption{Generation: 2, Source: "shop", State: store.AdoptionFollowing, Changed: 2000}
	must(t, c.SaveAdoption(ctx, next))
	same(t, "adoption, later", get(c.Adoption(ctx))(t), next)
	next.Generation = 4
	wantKind(t, c.SaveAdoption(ctx, next), chat.Conflict)
	same(t, "generation", get(c.Adoption(ctx))(t).Generation, int64(2))
}

// A control database takes over what another one had, under the same numbers, and goes on.
func checkFound(t *testing.T, c store.Control) {
	get(c.Deployment(ctx))(t) // as that of a first start that was refused
	same(t, "collections at first", get(c.Collections(ctx))(t), nil)
	must(t, c.SaveRecords(ctx, "b", store.Record{ID: "1", Body: []byte("x")}))
	must(t, c.SaveRecords(ctx, "B", store.Record{ID: "1", Body: []byte("y")}, store.Record{ID: "2", Body: []byte("y")}))
	same(t, "collections", get(c.Collections(ctx))(t), []string{"B", "b"})

	m := store.NewMap([]string{"a", "b"})
	m.Version, m.Base = 7, 1<<40
	f := store.Founding{Deployment: "an id of twenty letters", Map: m, Adoption: store.Adoption{Generation: 3, Source: "shop", State: store.AdoptionSwitched, Changed: 5}}
	must(t, c.Found(ctx, f))
	same(t, "deployment", get(c.Deployment(ctx))(t), f.Deployment)
	same(t, "map", *get(c.Map(ctx))(t), *m)
	same(t, "adoption", get(c.Adoption(ctx))(t), f.Adoption)
	f.Deployment = "another"
	wantKind(t, c.Found(ctx, f), chat.Conflict)
	same(t, "deployment, after a refusal", get(c.Deployment(ctx))(t), "an id of twenty letters")
	m.Version = 8
	must(t, c.SaveMap(ctx, m))
	f.Adoption.Generation = 4
	must(t, c.SaveAdoption(ctx, f.Adoption))
}
