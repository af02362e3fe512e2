package server

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// natsAwayLong is for how long NATS may be away before the lanes of other nodes count as
// out of reach: as long as a change waits for the node that owns its lane.
const natsAwayLong = 10 * time.Second

// standing is how a shard stands with this node.
type standing struct {
	name  string
	slots int   // that it owns
	err   error // why changes of its rooms cannot be made by way of this node; nil: they can
}

// ready returns the shards whose rooms cannot be written by way of this node, and the
// reason for which the node should get no traffic, nil if it should.
func (s *Server) ready() (down []string, err error) {
	if s.draining.Load() {
		return nil, chat.E(chat.Unavailable, "the server is stopping")
	}
	if s.peers != nil && s.peers.own != nil {
		if err := s.peers.own.CaughtUp(); err != nil {
			return nil, err
		}
	}
	return judge(s.standings())
}

// judge decides what the shards mean for the node. A node gets traffic as long as it can
// serve any room: where it gets none, all its clients go to nodes that are no better off
// with the shard that is down, and lose the rooms of the others meanwhile. A shard that
// can be read and not written (ReadOnly) serves its readers.
func judge(shards []standing) (down []string, err error) {
	var errs []error
	served := false
	for _, st := range shards {
		if st.err != nil {
			down, errs = append(down, st.name), append(errs, st.err)
		}
		served = served || st.slots > 0 && (st.err == nil || chat.KindOf(st.err) == chat.ReadOnly)
	}
	if served {
		return down, nil
	}
	return down, &chat.Error{Kind: chat.Unavailable, Op: "server.ready", Text: "no shard can be served", Err: errors.Join(errs...)}
}

func (s *Server) standings() []standing {
	shards := make([]standing, len(s.store.Shards()))
	for i, shard := range s.store.Shards() {
		shards[i] = standing{name: shard.Name(), err: s.trouble(i)}
	}
	for slot := range chat.Slot(chat.Slots) {
		shards[s.store.ShardOf(slot)].slots++
	}
	return shards
}

// trouble is why changes of a shard cannot be made, nil if they can. The lane tells of a
// shard that this node owns.
func (s *Server) trouble(shard int) error {
	if s.peers == nil || s.lanes.Owns(shard) {
		return s.lanes.ErrOf(shard)
	}
	return troubleAfar(s.store.Shards()[shard].Unreachable(), s.peers.natsAway())
}

// troubleAfar is trouble for a shard whose lane another node owns. It is served if its
// database answers (nodes of a cluster look at each lease every second or two) and NATS
// carries changes to the owner.
func troubleAfar(unreachable error, natsAway time.Duration) error {
	if unreachable == nil && natsAway > natsAwayLong {
		return chat.E(chat.Unavailable, "NATS does not answer, and another node owns the lane")
	}
	return unreachable
}

// shardsUp collects for each shard whether its rooms can be written by way of this node.
type shardsUp struct{ s *Server }

var shardUp = prometheus.NewDesc("roomtide_shard_up", "1 if messages to the rooms of the shard can be stored by way of this node, else 0.", []string{"shard"}, nil)

func (shardsUp) Describe(c chan<- *prometheus.Desc) { c <- shardUp }

func (u shardsUp) Collect(c chan<- prometheus.Metric) {
	for _, st := range u.s.standings() {
		up := 1.0
		if st.err != nil {
			up = 0
		}
		c <- prometheus.MustNewConstMetric(shardUp, prometheus.GaugeValue, up, st.name)
	}
}
