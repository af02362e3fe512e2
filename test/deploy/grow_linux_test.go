package deploy

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/internal/testredis"
)

// grown are the pods of the chart for some numbers of nodes, and of those that stay, each pod
// in the place that it has for the others: its volume, its address.
func grown(t *testing.T, dsn, redis string, sizes ...[2]int) (all []*around) {
	t.Helper()
	for _, n := range sizes {
		text := mustHelm(t, "existingSecret=roomtide", "nats.embedded=true", fmt.Sprint("nodes=", n[0]), fmt.Sprint("nats.listed=", n[1]))
		a := &around{members: podsOf(t, text), dsn: dsn, redis: redis}
		if len(all) > 0 {
			for i, m := range a.members {
				m.dir = all[0].members[i].dir
			}
		}
		a.here(t)
		if n[1] > 0 {
			unlist(t, a.members[n[1]:])
		}
		all = append(all, a)
	}
	return all
}

// unlist has pods that are in no list any more listen at a name, as pods do: an address that
// is not in the list is a mistake elsewhere.
func unlist(t *testing.T, pods []*member) {
	t.Helper()
	for _, m := range pods {
		for i, kv := range m.env {
			if strings.HasPrefix(kv, "ROOMTIDE_NATS_CLUSTER_LISTEN=") {
				_, port, err := net.SplitHostPort(testprocess.FreeAddr(t))
				if err != nil {
					t.Fatal(err)
				}
				m.env[i] = "ROOMTIDE_NATS_CLUSTER_LISTEN=localhost:" + port
			}
		}
	}
}

// become makes the pods those of another number of nodes as a StatefulSet does it: those
// that are new start, those that are too many end, and the others are replaced in turn, the
// last one first, if their template is another one. People talk all the time.
func (a *around) become(t *testing.T, next *around) {
	t.Helper()
	for i := len(a.members); i < len(next.members); i++ {
		next.members[i].start(t)
	}
	for _, m := range a.members[min(len(a.members), len(next.members)):] {
		m.stop(t)
	}
	for i := min(len(a.members), len(next.members)) - 1; i >= 0; i-- {
		if slices.Equal(a.members[i].env, next.members[i].env) {
			next.members[i].node = a.members[i].node
			continue
		}
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
	all := grown(t, testdb.Start(t, testdb.Maria).Database(), redis, [2]int{5, 0}, [2]int{3, 0}, [2]int{5, 3}, [2]int{3, 3})
	five, three, leaving, again := all[0], all[1], all[2], all[3]
	for _, m := range three.members {
		m.start(t)
	}
	three.whole(t)
	three.become(t, five)
	five.whole(t)
	five.become(t, leaving)
	leaving.whole(t)
	leaving.become(t, again)
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
