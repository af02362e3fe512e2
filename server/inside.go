package server

import (
	"context"
	"sync"

	natsd "github.com/nats-io/nats-server/v2/server"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/embednats"
	"github.com/roomtide/roomtide/queue/jetstream"
)

// Inside is what a running node tells of the NATS server inside it, which lets in no other
// program, and of what it sees by way of that server.
type Inside struct {
	Version string   `json:"version"` // of NATS
	Servers int      `json:"servers"` // that the cluster has by the settings
	Reached []string `json:"reached"` // names of the others that this one has a connection to
	Ready   string   `json:"ready"`   // why it takes no part in JetStream, "" if it does
	Twin    bool     `json:"twin"`    // another server of its name was seen

	Queue      jetstream.Seen `json:"queue"` // if the settings have one
	QueueError string         `json:"queue_error"`
	Peers      []cluster.Peer `json:"peers"` // the other nodes that were heard lately
}

// inside looks at the NATS server of this process, nil if there is none.
func (s *Server) inside(ctx context.Context) *Inside {
	p := s.peers
	if p == nil || p.own == nil {
		return nil
	}
	in := &Inside{Version: natsd.VERSION, Servers: p.own.Size(), Reached: p.own.Reached(), Twin: p.own.Twin(), Peers: s.knownPeers()}
	if err := p.own.Ready(); err != nil {
		in.Ready = chat.Public(err).Text
	}
	if p.queue != nil {
		cfg := p.queueConfig()
		cfg.Log, cfg.Registerer = nil, nil
		var err error
		if in.Queue, err = jetstream.Look(ctx, cfg); err != nil {
			in.QueueError = chat.Public(err).Text
		}
	}
	return in
}

// RouteSeen is what answers at one of the addresses of nats.routes.
type RouteSeen struct {
	Address string
	embednats.Told
	Refused string // why one of the two does not take the certificate of the other
	Err     error  // why none of the cluster's servers answers; Told is empty then
}

// AskRoutes asks the NATS servers inside of nodes and witness, at the addresses at which they
// find each other, who they are.
func AskRoutes(ctx context.Context, cfg *config.Config) []RouteSeen {
	own, err := embedded(cfg)
	seen := make([]RouteSeen, len(cfg.NATS.Routes))
	var asked sync.WaitGroup
	for i, address := range cfg.NATS.Routes {
		seen[i] = RouteSeen{Address: address, Err: err}
		if err == nil {
			asked.Go(func() {
				seen[i].Told, seen[i].Err = embednats.Ask(ctx, own, address)
				seen[i].Refused = embednats.Refused(seen[i].Err)
			})
		}
	}
	asked.Wait()
	return seen
}
