package deploy

import (
	"fmt"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testredis"
)

// grown are the pods of the chart for some numbers of nodes, each pod in the place that it
// has for the others: its volume, its address.
func grown(t *testing.T, dsn, redis string, sizes ...int) (all []*around) {
	t.Helper()
	for _, nodes := range sizes {
		text := mustHelm(t, "existingSecret=roomtide", "nats.embedded=true", fmt.Sprint("nodes=", nodes))
		a := &around{members: podsOf(t, text), dsn: dsn, redis: redis}
		if len(all) > 0 {
			for i, m := range a.members {
				m.dir = all[0].members[i].dir
			}
		}
		a.here(t)
		all = append(all, a)
	}
	return all
}

// become makes the pods those of another number of nodes as a StatefulSet does it: those
// that are new start, those that are too many end, and the others are replaced in turn, the
// last one first. People talk all the time.
func (a *around) become(t *testing.T, next *around) {
	t.Helper()
	for i := len(a.members); i < len(next.members); i++ {
		next.members[i].start(t)
	}
	for _, m := range a.members[min(len(a.members), len(next.members)):] {
		m.stop(t)
	}
	for i := min(len(a.members), len(next.members)) - 1; i >= 0; i-- {
		a.members[i].stop(t)
		a.members[i].node = nil
		rest := &around{members: append(a.members[:i:i], next.members[i+1:]...)}
		rest.talk(t, nil)
		next.members[i].start(t)
		next.members[i].node.Ready()
	}
	next.talk(t, nil)
}

// Three nodes of the chart become five, and three again, while people talk; in the end the
// queue is on three servers that run, and those that have left are not counted any more: one
// of three may be away.
func TestEmbeddedChartGrows(t *testing.T) {
	redis := testredis.Start(t, "--requirepass", password).Addr
	all := grown(t, testdb.Start(t, testdb.Maria).Database(), redis, 5, 3, 3)
	five, three, again := all[0], all[1], all[2]
	for _, m := range three.members {
		m.start(t)
	}
	three.whole(t)
	three.become(t, five)
	five.whole(t)
	five.become(t, again)
	again.whole(t)
	for until := time.Now().Add(2 * patience); !metric(again.members[0].host, "roomtide_embedded_nats_members 3"); {
		if again.talk(t, nil); time.Now().After(until) {
			t.Fatal("those that have left are counted still")
		}
	}
	again.members[2].stop(t)
	again.talk(t, again.members[2])
	until(t, "a majority without one of three", func() bool { return metric(again.members[0].host, "roomtide_embedded_nats_ready 1") })
}
