package chaos

import (
	"slices"
	"time"

	"github.com/roomtide/roomtide/internal/faultproxy"
	"github.com/roomtide/roomtide/internal/testcluster"
)

// kind is a kind of server that nodes use.
type kind string

const (
	nats  kind = "NATS"
	sql   kind = "SQL"
	redis kind = "Redis"
)

// networks are the faults of the network between one node and all servers of a kind, or
// between all nodes and them.
var networks = map[string]func(*run, kind) int{
	"unreachable for a node": cutOff(refuse),
	"silent for a node":      cutOff(func(p *faultproxy.Proxy) { p.Hold() }),
	"deaf to a node":         cutOff(func(p *faultproxy.Proxy) { p.Hold(faultproxy.Up) }),
	"unheard by a node":      cutOff(func(p *faultproxy.Proxy) { p.Hold(faultproxy.Down) }),
	"half open to a node":    cutOff((*faultproxy.Proxy).LoseServers),
	"left by a node unheard": cutOff((*faultproxy.Proxy).LoseClients),
	"connections reset":      (*run).reset,
	"slow":                   (*run).slow,
	"slow to close":          (*run).slowToClose,
}

// ways are the proxies between nodes and all servers of a kind.
func (r *run) ways(k kind, nodes ...string) (ps []*faultproxy.Proxy) {
	for _, name := range nodes {
		w := r.c.Ways[name]
		ps = slices.Concat(ps, map[kind][]*faultproxy.Proxy{nats: w.NATS, sql: w.SQL, redis: {w.Redis}}[k])
	}
	return ps
}

// hitsOf is how much of what goes through proxies was broken so far.
func hitsOf(ps []*faultproxy.Proxy) (n int) {
	for _, p := range ps {
		n += p.Hits()
	}
	return n
}

// network has something be wrong with proxies while what is given is done, and returns how
// much was hit.
func (r *run) network(ps []*faultproxy.Proxy, wrong func(*faultproxy.Proxy), meanwhile func()) int {
	hits := func() int { return hitsOf(ps) }
	all := func(do func(*faultproxy.Proxy)) {
		for _, p := range ps {
			do(p)
		}
	}
	before := hits()
	all(wrong)
	meanwhile()
	for deadline := time.Now().Add(time.Minute); hits() == before && time.Now().Before(deadline); {
		<-time.After(50 * time.Millisecond)
		all(wrong) // there may have been no connection to break
	}
	all((*faultproxy.Proxy).Heal)
	return hits() - before
}

func refuse(p *faultproxy.Proxy) { p.Refuse(true); p.Cut() }

// outage is a time for less or for more than the life of a node's leases.
func (r *run) outage() time.Duration {
	return []time.Duration{time.Second, 6 * time.Second, long(25*time.Second, 6*time.Second)}[r.rng.IntN(3)]
}

// cutOff has one node be without a kind of server.
func cutOff(wrong func(*faultproxy.Proxy)) func(*run, kind) int {
	return func(r *run, k kind) int {
		about := r.outage()
		return r.network(r.ways(k, r.anyNode()), wrong, func() { r.wait(about) })
	}
}

func (r *run) reset(k kind) int {
	return r.network(r.ways(k, testcluster.Names...), (*faultproxy.Proxy).Cut, func() {})
}

// slow is a way of some tens of milliseconds for all nodes.
func (r *run) slow(k kind) int {
	by := time.Duration(10+r.rng.IntN(90)) * time.Millisecond
	return r.network(r.ways(k, testcluster.Names...), func(p *faultproxy.Proxy) { p.Delay(by) }, func() { r.wait(long(15*time.Second, 4*time.Second)) })
}

func (r *run) killNodeWithSlowSQL() int {
	killed := 0
	by := time.Duration(10+r.rng.IntN(40)) * time.Millisecond
	return r.network(r.ways(sql, testcluster.Names...), func(p *faultproxy.Proxy) { p.Delay(by) }, func() { killed = r.killNode() }) * killed
}

// slowToClose ends servers, of which the nodes hear some seconds later. No node may have been
// connected to the one that is drawn first.
func (r *run) slowToClose(k kind) int {
	kill := map[kind]func() int{nats: r.killNATS, sql: func() int { return r.killSQL(time.Second) }, redis: r.killRedis}[k]
	ps := r.ways(k, testcluster.Names...)
	return r.network(ps, func(p *faultproxy.Proxy) { p.EndLate(4 * time.Second) }, func() {
		before, deadline := hitsOf(ps), time.Now().Add(patience)
		for hitsOf(ps) == before && time.Now().Before(deadline) {
			kill()
			r.wait(3 * time.Second)
		}
	})
}
