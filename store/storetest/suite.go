// Package storetest is the one suite that every storage driver passes: the
// comments of store.Driver and store.Control, as checks. A new driver is done
// when Run and RunControl pass; its own tests add what only it can break.
//
// Each check gets a fresh driver and knows nothing of the engine beneath.
package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Harness is how the suite gets drivers.
type Harness struct {
	// Open returns an empty shard, and closes it when the test ends. A test may open
	// several.
	Open func(t *testing.T) store.Driver
	// Reopen closes d and opens the same data again.
	Reopen func(t *testing.T, d store.Driver) store.Driver
}

// Run holds a driver to the contract of store.Driver.
func Run(t *testing.T, h Harness) {
	checks := []struct {
		name string
		run  func(*testing.T, store.Driver)
	}{
		{"Position", checkPosition},
		{"Fencing", checkFencing},
		{"OnePositionOneCommit", checkRace},
		{"LanesAreApart", checkLanes},
		{"Leases", checkLeases},
		{"Taken", checkTaken},
		{"Sent", checkSent},
		{"Atomic", checkAtomic},
		{"Load", checkLoad},
		{"LoadKeys", checkKeys},
		{"Replace", checkReplace},
		{"OddIDs", checkOddIDs},
		{"SharesNothing", checkSharesNothing},
		{"Room", checkRoom},
		{"Pages", checkPages},
		{"PagesFilled", checkPagesFilled},
		{"PagesInBytes", checkPagesInBytes},
		{"Reactions", checkReactions},
		{"Heads", checkHeads},
		{"ListRooms", checkListRooms},
		{"Others", checkOthers},
		{"MessagesBy", checkMessagesBy},
		{"Removal", checkRemoval},
		{"Members", checkMembers},
		{"UserRooms", checkUserRooms},
		{"Users", checkUsers},
		{"Access", checkAccess},
		{"Devices", checkDevices},
		{"PushSettings", checkPushSettings},
		{"Recipients", checkRecipients},
		{"PushJobs", checkPushJobs},
		{"PushOwners", checkPushOwners},
		{"UserNodes", checkUserNodes},
		{"Online", checkOnline},
		{"Delta", checkDelta},
		{"DeltaEdges", checkDeltaEdges},
		{"DeltaLongRoom", checkDeltaLongRoom},
		{"DeltaRows", checkDeltaRows},
		{"Outbox", checkOutbox},
		{"Cursors", checkCursors},
		{"AllMembers", checkAllMembers},
		{"HasRooms", checkHasRooms},
		{"Readers", checkReaders},
		{"Cancelled", checkCancelled},
		{"Whole", checkWhole},
		{"SlotRows", checkSlotRows},
		{"RowsByKey", checkRowsByKey},
		{"PutReplaces", checkPutReplaces},
		{"PutKeys", checkPutKeys},
		{"Drop", checkDrop},
		{"DropAndPut", checkDropAndPut},
		{"RaiseRevs", checkRaiseRevs},
		{"Size", checkSize},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.run(t, h.open(t)) })
	}
	t.Run("Durable", func(t *testing.T) { checkDurable(t, h) })
	t.Run("Put", func(t *testing.T) { checkPut(t, h) })
	t.Run("CopyModel", func(t *testing.T) {
		from, to := h.open(t), h.open(t)
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			checkCopyModel(rt, from, to, n)
		})
	})
	t.Run("DeltaModel", func(t *testing.T) {
		d := h.open(t)
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			checkDeltaModel(rt, d, n)
		})
	})
}

// shard returns the driver as Store hands it out, with what Store adds.
func shard(t rapid.TB, d store.Driver) *store.Shard {
	t.Helper()
	return get(store.New(store.NewMap([]string{"shard"}), []store.Driver{d}, nil, nil))(t).Shards()[0]
}

func (h Harness) open(t *testing.T) store.Driver {
	d := h.Open(t)
	t.Logf("driver %T", d)
	return d
}

var ctx = context.Background()

// must fails the test on an error.
func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// get returns v, failing the test on an error.
func get[V any](v V, err error) func(t rapid.TB) V {
	return func(t rapid.TB) V {
		t.Helper()
		must(t, err)
		return v
	}
}

// same compares what was read with what is expected. No items and nil are the
// same thing in lists.
func same[V any](t rapid.TB, what string, got, want V) {
	t.Helper()
	g, w := reflect.ValueOf(&got).Elem(), reflect.ValueOf(&want).Elem()
	if k := g.Kind(); (k == reflect.Slice || k == reflect.Map) && g.Len() == 0 && w.Len() == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// wantKind fails the test unless err is a *chat.Error of the kind.
func wantKind(t rapid.TB, err error, kind chat.Kind) {
	t.Helper()
	var e *chat.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("error is %v, want kind %d (%s)", err, kind, kind.Code())
	}
}
