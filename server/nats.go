package server

import (
	"path/filepath"
	"time"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/embednats"
	"github.com/roomtide/roomtide/internal/natslink"
	"github.com/roomtide/roomtide/queue/jetstream"
)

// natsDir is where the NATS server of this process has its files, in the data directory.
const natsDir = "nats"

// openLink connects to NATS: to the server of this process, which it starts, or to others.
func (p *peers) openLink() error {
	s := p.s
	link, err := elsewhere(s.cfg)
	if err != nil {
		return err
	}
	if s.cfg.NATS.Embedded {
		cfg, err := embedded(s.cfg)
		if err != nil {
			return err
		}
		cfg.Log, cfg.Registerer = s.log, s.reg
		if p.own, err = embednats.Start(cfg); err != nil {
			return err
		}
		s.onClose(p.own.Close) // behind the lanes and the connection: what it leads goes to others last
		link = natslink.Config{InProcess: p.own, User: p.own.User(), Password: p.own.Password()}
	}
	link.Node, link.Log, link.Registerer = s.cfg.Node, s.log, s.reg
	if p.link, err = natslink.Dial(link); err != nil {
		return err
	}
	s.onClose(p.link.Close)
	if p.own != nil {
		p.own.OnReached(p.link.Missed)
	}
	return nil
}

// elsewhere is how NATS servers of other processes are reached.
func elsewhere(c *config.Config) (natslink.Config, error) {
	n := &c.NATS
	password, err := n.Secret()
	return natslink.Config{
		URLs: n.URL, User: n.User, Password: password, Credentials: n.Credentials,
		TLSCA: n.TLSCA, TLSCert: n.TLSCert, TLSKey: n.TLSKey,
	}, err
}

// embedded is the NATS server of a node, or of a witness.
func embedded(c *config.Config) (embednats.Config, error) {
	n := &c.NATS
	secret, err := n.Secret()
	return embednats.Config{
		Dir: filepath.Join(c.DataDir, natsDir), Name: c.Node, Listen: n.ClusterListen, Routes: n.Routes, Secret: secret,
		TLSCA: n.TLSCA, TLSCert: n.TLSCert, TLSKey: n.TLSKey, MaxBytes: int64(c.Queue.MiB) << 20,
	}, err
}

// ownQueue is what a queue is like in the NATS servers of this and other processes. One
// that is alone has the queue for outages of its database: it is to have one replica.
func (p *peers) ownQueue(cfg *jetstream.Config) {
	if p.own == nil {
		return
	}
	cfg.Synced = true
	switch size := p.own.Size(); {
	case size == 1:
		cfg.Replicas, cfg.RequireDurable = 1, false
	case cfg.Replicas == 0: // never one, also while the others are not there yet
		cfg.Replicas = 3
	}
}

// natsAway is for how long changes and events have reached no other node, 0 if they do or
// there is none.
func (p *peers) natsAway() time.Duration {
	if p.own != nil {
		return p.own.Apart()
	}
	return p.link.Away()
}

// hears reports whether this node hears now what other nodes change. Servers of nodes pass
// nothing on for each other: one that is missing may be that of a node that works.
func (s *Server) hears() bool {
	p := s.peers
	return p == nil || p.link.NATS().IsConnected() && (p.own == nil || p.own.Whole())
}
