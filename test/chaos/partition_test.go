package chaos

import (
	"slices"

	"github.com/roomtide/roomtide/internal/faultproxy"
	"github.com/roomtide/roomtide/internal/testcluster"
)

// The faults of the network between the NATS servers. Clients of each go on to reach it.

// routes are the proxies between two servers: each may have found the other.
func (r *run) routes(a, b int) []*faultproxy.Proxy {
	return []*faultproxy.Proxy{r.c.Routes[a][b], r.c.Routes[b][a]}
}

// around are those between one server and all others.
func (r *run) around(server int) (ps []*faultproxy.Proxy) {
	for other := range testcluster.Names {
		if other != server {
			ps = append(ps, r.routes(server, other)...)
		}
	}
	return ps
}

// partition has something be wrong between servers, and waits until they are one cluster
// again.
func (r *run) partition(ps []*faultproxy.Proxy, wrong func(*faultproxy.Proxy)) int {
	hits := r.network(ps, wrong, func() { r.wait(r.outage()) })
	r.c.NATS.Settle()
	return hits
}

// isolate has one server be alone, which the servers notice at once, or only by silence.
func isolate(wrong func(*faultproxy.Proxy)) fault {
	return func(r *run) int { return r.partition(r.around(r.rng.IntN(3)), wrong) }
}

// isolateOneWay has the others hear nothing of a server that hears them.
func (r *run) isolateOneWay() int {
	server := r.rng.IntN(3)
	return r.partition(r.around(server), func(p *faultproxy.Proxy) {
		if slices.Contains(r.c.Routes[server], p) {
			p.Hold(faultproxy.Up)
		} else {
			p.Hold(faultproxy.Down)
		}
	})
}

// separate cuts two servers off from each other, which both reach the third.
func (r *run) separate() int {
	a := r.rng.IntN(3)
	return r.partition(r.routes(a, (a+1)%3), refuse)
}
