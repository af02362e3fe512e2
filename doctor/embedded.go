package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/server"
)

// embedded looks at the NATS server inside the node. From here only the addresses of the
// servers can be tried; the rest is what the running node tells.
func (e *examination) embedded() {
	e.routeCertificate()
	e.routes()
	switch {
	case e.self == nil:
		e.add(Warn, "nats", "the queue, its copies and the other nodes cannot be seen: the NATS server inside this node lets no other program in, and the node does not tell of it (see node/running)", "start the node, and run doctor on its machine, with its data dir and as its user")
		return
	case e.self.Inside == nil:
		e.add(Warn, "nats", "the running node tells nothing of a NATS server inside: it runs with other settings, or an older version", "restart it")
		return
	}
	in := e.self.Inside
	e.inside(in)
	seen := server.ClusterSeen{Queue: in.Queue, Self: server.HelloOf(e.cfg, e.Version), Peers: in.Peers}
	if in.QueueError != "" {
		seen.QueueErr = chat.E(chat.Unavailable, in.QueueError)
	}
	if in.Servers == 1 {
		e.queueAlone(&seen)
		return
	}
	e.queue(&seen)
	const start = "start it: roomtide serve, or systemctl start roomtide@NAME"
	seen.Peers = slices.DeleteFunc(slices.Clone(in.Peers), func(p cluster.Peer) bool {
		away := !slices.Contains(in.Reached, p.Node) // its NATS server has its name
		if away {
			e.add(Warn, "node "+p.Node, "it was heard lately, and is not reached any more", start)
		}
		return away
	})
	if len(in.Peers) == 0 {
		e.add(Warn, "nodes", "no other node was heard", start)
		return
	}
	e.nodes(&seen)
}

// inside tells how the NATS server of the node stands with the others.
func (e *examination) inside(in *server.Inside) {
	const together = "start the others, let machines reach each other at the addresses of nats.routes, and give all the same secret (nats.password_file) and, with TLS, certificates of one authority (nats.tls_ca)"
	reached := fmt.Sprintf("inside the node, version %s, with connections to %d of %d other servers: %s", in.Version, len(in.Reached), in.Servers-1, cmp.Or(strings.Join(in.Reached, ", "), "none"))
	switch missing := in.Servers - 1 - len(in.Reached); {
	case in.Twin:
		e.add(Fail, "nats", "another NATS server has the name of this node, "+e.cfg.Node, "give every node, and the witness, a name of its own (node)")
	case in.Ready != "":
		e.add(Fail, "nats", reached+"; "+in.Ready, together)
	case missing > 0:
		e.add(Warn, "nats", reached, together)
	case in.Servers == 1:
		e.ok("nats", "inside the node, version %s, alone", in.Version)
	default:
		e.ok("nats", "inside the node, version %s, with connections to all others: %s", in.Version, strings.Join(in.Reached, ", "))
	}
}

// queueAlone looks at the queue of a node without others, which has no second copy by intent.
func (e *examination) queueAlone(seen *server.ClusterSeen) {
	if q := &seen.Queue; seen.QueueErr == nil && q.Replicas == 1 && !q.NearlyFull() {
		e.ok("queue", "on the disk of this machine; %s of %s", mebibytes(q.Bytes), mebibytes(q.MaxBytes))
		return
	}
	e.queue(seen)
}

// routeCertificate looks at the certificate by which the server of this node is let in by
// the others, and they by it.
func (e *examination) routeCertificate() {
	n := &e.cfg.NATS
	if n.TLSCert == "" {
		return
	}
	const check, files = "route certificate", "nats.tls_cert, nats.tls_key and nats.tls_ca are PEM files; the certificate is signed by an authority in tls_ca, for servers and clients (extendedKeyUsage serverAuth, clientAuth)"
	pair, err := tls.LoadX509KeyPair(n.TLSCert, n.TLSKey)
	if err != nil {
		e.add(Fail, check, err.Error(), files)
		return
	}
	pem, err := os.ReadFile(n.TLSCA)
	authorities := x509.NewCertPool()
	if err != nil || !authorities.AppendCertsFromPEM(pem) {
		e.add(Fail, check, "no certificate can be read from "+n.TLSCA, files)
		return
	}
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		// Its time is looked at below.
		opts := x509.VerifyOptions{Roots: authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}, CurrentTime: pair.Leaf.NotAfter}
		if _, err := pair.Leaf.Verify(opts); err != nil {
			e.add(Fail, check, "other servers refuse it: "+err.Error(), files)
			return
		}
	}
	known := func(route string) bool {
		host, _, err := net.SplitHostPort(route)
		return err == nil && pair.Leaf.VerifyHostname(host) == nil
	}
	if !slices.ContainsFunc(n.Routes, known) {
		e.add(Fail, check, "it is for none of the addresses in nats.routes", "let it name the address at which the others find this node (subjectAltName)")
		return
	}
	e.until(check, pair.Leaf)
}

// routes tries the addresses at which the servers inside of nodes and witness find each other.
func (e *examination) routes() {
	ctx, cancel := context.WithTimeout(e.ctx, monitorPatience)
	defer cancel()
	at := map[string]string{} // the address of each name
	for _, r := range server.AskRoutes(ctx, e.cfg) {
		check := "route " + r.Address
		switch {
		case errors.Is(r.Err, context.DeadlineExceeded):
			e.add(Warn, check, "no answer within "+monitorPatience.String(), "open this port between the machines of the nodes and the witness; with TLS, all of them need it")
		case r.Refused != "":
			e.add(Fail, check, r.Refused, "give all servers certificates of one authority, which nats.tls_ca of each of them has, for the address at which the others find it")
		case r.Err != nil:
			e.add(Warn, check, reason(r.Err), "start the node, or the witness, that has this address (nats.cluster_listen), or correct nats.routes")
		case at[r.Name] != "":
			e.add(Fail, check, fmt.Sprintf("NATS server %s, which also answers at %s", r.Name, at[r.Name]), "give every node, and the witness, a name of its own (node)")
		default:
			at[r.Name] = r.Address
			e.ok(check, "NATS server %s, version %s", r.Name, r.Version)
		}
	}
}
