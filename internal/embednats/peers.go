package embednats

import (
	"slices"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
)

// peer is another server that this one has a connection to.
type peer struct {
	name  string
	route uint64 // the number of the connection
}

// OnReached makes f run each time another server is reached that was not before, or whose
// connection has been made again. What was published between the two servers meanwhile is
// lost. Functions run one after the other, in the order of registration.
func (s *Server) OnReached(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onReached = append(s.onReached, f)
}

// Missing is how many of the other servers are not reached now.
func (s *Server) Missing() int { return max(0, s.Size()-1-len(s.Reached())) }

// Whole reports whether all others are reached that may be nodes now: those of the settings,
// and any that JetStream counts, as while nodes come and leave.
func (s *Server) Whole() bool {
	return s.Missing() == 0 && s.members.Load() <= int64(len(s.Reached())+1)
}

// Apart is for how long no other server has been reached, 0 if one is or there are none.
func (s *Server) Apart() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Size() == 1 || s.apart.IsZero() {
		return 0
	}
	return time.Since(s.apart)
}

// Reached are the names of the other servers that are reached now.
func (s *Server) Reached() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := []string{}
	for _, p := range s.peers {
		names = append(names, p.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// watch looks at the connections to other servers until Close: the server tells of them
// only in its log.
func (s *Server) watch() {
	if s.Size() == 1 {
		return
	}
	tick, slow := time.NewTicker(look), time.NewTicker(leftLook)
	defer tick.Stop()
	defer slow.Stop()
	gone := left{s: s, since: map[string]time.Time{}}
	late := time.Now().Add(s.cfg.catchUp)
	for {
		select {
		case <-s.quit:
			return
		case now := <-slow.C:
			gone.look(now)
			continue
		case <-tick.C:
		}
		for _, f := range s.compare(s.routes()) {
			f()
		}
		if !s.caught.Load() {
			s.lookCaughtUp(time.Now().After(late))
		}
	}
}

// routes are the servers that are connected now, by id.
func (s *Server) routes() map[string]peer {
	all, err := s.natsd.Routez(nil)
	if err != nil {
		return nil // it has no error to return
	}
	now := map[string]peer{}
	for _, r := range all.Routes {
		if r.Account == "" { // the others are JetStream's
			now[r.RemoteID] = peer{name: r.RemoteName, route: r.Rid}
		}
	}
	return now
}

// compare takes note of the servers that are connected now, and returns what is to run.
func (s *Server) compare(now map[string]peer) (run []func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, p := range now {
		if s.peers[id] != p {
			run = slices.Clone(s.onReached)
			s.log.Info("a NATS server of the cluster is reached", "name", p.name)
		}
	}
	for id, p := range s.peers {
		if _, still := now[id]; !still {
			s.log.Warn("the connection to a NATS server of the cluster is lost", "name", p.name)
		}
	}
	s.peers = now
	switch {
	case len(now) > 0:
		s.apart = time.Time{}
	case s.apart.IsZero():
		s.apart = time.Now()
	}
	return run
}

// settle waits until all servers are reached, but not for long.
func (s *Server) settle() {
	late := time.After(s.cfg.patience)
	tick := time.NewTicker(look / 10)
	defer tick.Stop()
	for s.Missing() > 0 {
		select {
		case <-late:
			return
		case <-tick.C:
			s.compare(s.routes()) // nothing is registered yet
		}
	}
}

// register shows how the server is.
func (s *Server) register(reg prometheus.Registerer) {
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("roomtide_embedded_nats_servers", "NATS servers that the cluster has by the settings, this one included.", func() float64 { return float64(s.Size()) })
	gauge("roomtide_embedded_nats_missing", "NATS servers of the cluster that this one has no connection to.", func() float64 { return float64(s.Missing()) })
	gauge("roomtide_embedded_nats_members", "NATS servers that JetStream counts for its majority: those of the settings, when all have run, and ones that have not left yet.", func() float64 {
		return float64(max(1, s.members.Load()))
	})
	gauge("roomtide_embedded_nats_ready", "1 while this process's NATS server takes part in JetStream, else 0.", func() float64 {
		if s.Ready() != nil {
			return 0
		}
		return 1
	})
	gauge("roomtide_embedded_nats_store_bytes", "What JetStream keeps on the disk of this process.", func() float64 {
		info, err := s.natsd.Jsz(&natsd.JSzOptions{})
		if err != nil {
			return 0
		}
		return float64(info.Store)
	})
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "roomtide_embedded_nats_slow_consumers_total", Help: "Connections that this process's NATS server has ended because they did not take what was sent.",
	}, func() float64 { return float64(s.natsd.NumSlowConsumers()) }))
}
