package main

import (
	"errors"
	"fmt"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/server"
)

// witnessVerb has the flags of serve that are of use to a witness.
type witnessVerb struct {
	File              string     `name:"config" placeholder:"FILE" help:"Configuration file. Default: roomtide.toml in the data dir, if it is there."`
	DataDir           string     `default:"./roomtide-data" placeholder:"DIR" help:"Directory for the copy of the queue. Made if missing."`
	Node              string     `default:"local" help:"Name of the witness: no node has it, and it keeps its name when it starts again."`
	NATSClusterListen string     `name:"nats-cluster-listen" default:"" help:"Address where the servers of the nodes find this one, host:port, such as 10.0.0.3:6222."`
	NATSRoutes        []string   `name:"nats-routes" default:"" help:"Addresses of the servers of all nodes and of this one, host:port, the same list everywhere."`
	NATSPasswordFile  string     `name:"nats-password-file" placeholder:"FILE" default:"" help:"File that holds the secret by which the servers let each other in."`
	NATSTLSCA         string     `name:"nats-tls-ca" placeholder:"FILE" default:"" help:"For TLS between the servers: certificates that may sign theirs, PEM file."`
	NATSTLSCert       string     `name:"nats-tls-cert" placeholder:"FILE" default:"" help:"Certificate of the witness, PEM file. It is read again when it was renewed."`
	NATSTLSKey        string     `name:"nats-tls-key" placeholder:"FILE" default:"" help:"Private key of that certificate, PEM file."`
	NATSInsecure      bool       `name:"nats-insecure-routes" default:"false" help:"Allow routes without TLS on an address that is not loopback: messages, and the secret, can then be read on the way."`
	QueueMiB          int        `name:"queue-mib" default:"1024" help:"What the queue holds at most, in MiB, as the nodes have it: all of it is on the disk of the witness as well."`
	MetricsListen     string     `default:"" help:"Address that serves /metrics, /healthz and /readyz without a key, host:port, such as 127.0.0.1:9090. Empty: none."`
	Log               config.Log `embed:"" prefix:"log-" group:"Logging"`
}

// values are the flags as settings.
func (v *witnessVerb) values() *config.Config {
	return &config.Config{
		DataDir: v.DataDir, Node: v.Node, MetricsListen: v.MetricsListen, Log: v.Log, Queue: config.Queue{MiB: v.QueueMiB},
		NATS: config.NATS{
			ClusterListen: v.NATSClusterListen, Routes: v.NATSRoutes, PasswordFile: v.NATSPasswordFile,
			TLSCA: v.NATSTLSCA, TLSCert: v.NATSTLSCert, TLSKey: v.NATSTLSKey, Insecure: v.NATSInsecure,
		},
	}
}

func (*witnessVerb) Help() string {
	return `Two nodes with NATS servers inside (nats.embedded) cannot keep a queue when one of them is gone: the
other one cannot know whether it decides alone. A witness on a third machine is the third server. It
serves no clients and needs no database; a small machine will do.

Examples:

    roomtide witness --node w --nats-cluster-listen 10.0.0.3:6222 --nats-password-file /etc/roomtide/nats \
        --nats-routes 10.0.0.1:6222,10.0.0.2:6222,10.0.0.3:6222 \
        --nats-tls-ca /etc/roomtide/ca.pem --nats-tls-cert /etc/roomtide/cert.pem --nats-tls-key /etc/roomtide/key.pem
    roomtide witness --config /etc/roomtide/witness.toml

Settings of nodes that a witness has no use for may be in its file and in the environment. It stops at
the first SIGINT or SIGTERM.`
}

func (v *witnessVerb) Run(a *app) (err error) {
	cfg, err := config.Load(config.Args{File: v.File, Values: v.values(), Given: a.given}, a.env)
	if err != nil {
		return err
	}
	cfg.NATS.Embedded = true
	if ps := cfg.CheckWitness(); len(ps) > 0 {
		return ps
	}
	log := newLog(a.stderr, cfg)
	for _, w := range cfg.WitnessWarnings() {
		log.Warn(w)
	}
	w, err := server.OpenWitness(cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	fmt.Fprintf(a.stdout, "\n  Roomtide %s, a witness\n\n  NATS servers at %s\n  data in %s\n\n", version(), cfg.NATS.ClusterListen, cfg.DataDir)
	return w.Run(a.ctx)
}
