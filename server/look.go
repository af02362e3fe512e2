package server

import (
	"context"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/natslink"
	"github.com/roomtide/roomtide/queue/jetstream"
)

// ClusterSeen is what a node of a cluster would find, if it started now.
type ClusterSeen struct {
	Server  string        // of NATS, without secrets
	Version string        // of that server
	Trip    time.Duration // to it and back
	Err     error         // why NATS cannot be used; the rest is empty then

	Queue    jetstream.Seen // if the settings have one
	QueueErr error

	Self    cluster.Hello  // of a node with these settings
	Peers   []cluster.Peer // nodes that run, the one with these settings too
	PeerErr error          // why they were not asked
}

// LookAtCluster tells how the cluster of the settings is, and changes nothing. It may run
// beside nodes. NATS servers inside nodes let no other program in: the settings name others.
func LookAtCluster(ctx context.Context, cfg *config.Config, version string) (seen ClusterSeen) {
	link, err := elsewhere(cfg)
	if err != nil {
		seen.Err = err
		return seen
	}
	link.Node = "doctor"
	conn, err := natslink.Dial(link)
	if err != nil {
		seen.Err = err
		return seen
	}
	defer conn.Close()
	nc := conn.NATS()
	seen.Server, seen.Version = nc.ConnectedUrlRedacted(), nc.ConnectedServerVersion()
	if seen.Trip, err = nc.RTT(); err != nil {
		seen.Err = chat.Wrap(chat.Unavailable, "server.nats", err)
		return seen
	}
	control, err := OpenControl(ctx, cfg)
	if err != nil {
		seen.PeerErr = err
		return seen
	}
	deployment, err := control.Deployment(ctx)
	alive, err2 := control.Nodes(ctx, time.Now().UnixMilli())
	control.Close() // only read
	if err != nil || err2 != nil {
		seen.PeerErr = chat.E(chat.Unavailable, "the control database does not answer")
		return seen
	}
	prefix := "rt." + deployment
	if q := cfg.Queue; q.Mode != config.QueueOff {
		seen.Queue, seen.QueueErr = jetstream.Look(ctx, jetstream.Config{NATS: nc, Prefix: prefix, Lanes: 1, Replicas: q.Replicas, MaxBytes: int64(q.MiB) << 20})
	}
	seen.Self = HelloOf(cfg, version)
	seen.Peers, seen.PeerErr = askPeers(ctx, conn, prefix, alive)
	return seen
}

// HelloOf is what a node with these settings would tell others of itself.
func HelloOf(cfg *config.Config, version string) cluster.Hello {
	self := cluster.Hello{Node: cfg.Node, Version: version, Level: cluster.Level}
	if secret, err := Secret(cfg, false); err == nil { // else the files tell
		self.TokenKey = keyDigest(secret)
	}
	if cfg.Push.WebPushSubject != "" {
		if key, err := VAPIDKey(cfg, false); err == nil { // else the files tell
			self.WebPush = key.String()
		}
	}
	return self
}

// askPeers asks the nodes that run what they are, as none of them.
func askPeers(ctx context.Context, conn *natslink.Conn, prefix string, alive []string) ([]cluster.Peer, error) {
	hellos, err := cluster.OpenHellos(cluster.HellosConfig{NATS: conn.NATS(), Prefix: prefix, Self: cluster.Hello{Visitor: true}})
	if err != nil {
		return nil, err
	}
	defer hellos.Close()
	return hellos.Ask(ctx, meetLeast, meetMost, alive)
}
