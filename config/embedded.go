package config

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
)

// minSecret is how long the secret of the servers is at least, in bytes: strangers can
// try to guess it.
const minSecret = 16

// CheckWitness is Check for a witness, which runs a NATS server (NATS.Embedded) and
// nothing else: what it has no use for is not looked at.
func (c *Config) CheckWitness() Problems {
	var ps Problems
	if len(c.NATS.Routes) == 0 {
		ps = append(ps, Problem{"nats.routes", "a witness is one of several NATS servers, and there are no others", "give the addresses of the servers of all nodes and of this witness"})
	}
	for _, part := range []func() Problems{c.checkNode, c.checkOwnName, c.checkWords, c.checkAside, c.checkEmbedded, c.checkQueueSize} {
		ps = append(ps, part()...)
	}
	return ps
}

// checkEmbedded reports what is wrong with the NATS server that is to be in this process.
func (c *Config) checkEmbedded() Problems {
	n := &c.NATS
	var ps Problems
	if len(n.URL) > 0 {
		ps = append(ps, Problem{"nats.embedded", "there are servers in nats.url as well", "keep one of the two"})
	}
	if n.User != "" || n.Credentials != "" {
		ps = append(ps, Problem{"nats.user", "a NATS server in this process has no users", "take user and credentials out; the secret between the servers is nats.password_file"})
	}
	if n.Password != "" && n.PasswordFile != "" {
		ps = append(ps, Problem{"nats.password_file", "there is a password in the settings as well", "keep one of the two"})
	}
	ps = append(ps, n.checkRoutes()...)
	ps = append(ps, n.checkSharedSecret()...)
	ps = append(ps, n.checkReadable()...)
	if set := min(len(n.TLSCA), 1) + min(len(n.TLSCert), 1) + min(len(n.TLSKey), 1); set != 0 && set != 3 {
		ps = append(ps, Problem{"nats.tls_cert", "not all of tls_ca, tls_cert and tls_key are set", "set all three, or none"})
	}
	if n.plain() && !n.Insecure {
		ps = append(ps, Problem{"nats.cluster_listen", n.ClusterListen + " can be reached by other machines, and the servers speak to each other without TLS",
			"set nats.tls_ca, nats.tls_cert and nats.tls_key, or nats.insecure_routes if that network is these machines' own"})
	}
	return ps
}

// plain reports that what the servers say to each other can be read on other machines.
func (n *NATS) plain() bool {
	return len(n.Routes) > 0 && n.TLSCert == "" && n.ClusterListen != "" && !loopback(n.ClusterListen)
}

// checkRoutes reports what is wrong with the addresses of the servers.
func (n *NATS) checkRoutes() Problems {
	var ps Problems
	const all = "list the addresses of the NATS servers of all nodes, this one included, such as 10.0.0.1:6222"
	for i, r := range n.Routes {
		switch text := checkRoute(r); {
		case text != "":
			ps = append(ps, Problem{"nats.routes", strconv.Quote(r) + " " + text, all})
		case slices.Contains(n.Routes[:i], r):
			ps = append(ps, Problem{"nats.routes", strconv.Quote(r) + " is there twice", all})
		}
	}
	switch len(n.Routes) {
	case 0:
		if n.ClusterListen != "" {
			ps = append(ps, Problem{"nats.cluster_listen", "there are no other servers", all + ", in nats.routes, or take it out"})
		}
		return ps
	case 1:
		ps = append(ps, Problem{"nats.routes", "there is one server", all + "; or take routes and cluster_listen out, for a node that stays alone"})
	case 2:
		ps = append(ps, Problem{"nats.routes", "there are two servers: when one of them is gone the other one cannot know whether it decides alone", "run a third node, or a witness (roomtide witness) on a third machine, and list all three"})
	}
	if checkRoute(n.ClusterListen) != "" && !anyHost(n.ClusterListen) {
		ps = append(ps, Problem{"nats.cluster_listen", strconv.Quote(n.ClusterListen) + " is not an address", "write the address of this machine that the others reach, host:port, such as 10.0.0.1:6222"})
	} else if n.unlisted() {
		ps = append(ps, Problem{"nats.routes", n.ClusterListen + " (nats.cluster_listen) is not among them", all})
	}
	return ps
}

// unlisted reports that the routes leave out the server of this machine, as far as their
// addresses tell.
func (n *NATS) unlisted() bool {
	numeric := func(address string) bool {
		ap, err := netip.ParseAddrPort(address)
		return err == nil && !ap.Addr().IsUnspecified()
	}
	return numeric(n.ClusterListen) && !slices.Contains(n.Routes, n.ClusterListen) && !slices.ContainsFunc(n.Routes, func(r string) bool { return !numeric(r) })
}

func checkRoute(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "is not host:port"
	}
	if number, err := strconv.Atoi(port); err != nil || number < 1 || number > 65535 {
		return "has no port that a server can be found at"
	}
	if host == "" || anyHost(address) {
		return "names no host"
	}
	return ""
}

// anyHost reports whether the address is one of all hosts that the machine has.
func anyHost(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" || port == "0" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// checkSharedSecret reports that strangers could be servers of the cluster.
func (n *NATS) checkSharedSecret() Problems {
	secret, err := n.Secret()
	const fix = "make one, such as with openssl rand -hex 32, and name its file in nats.password_file, the same on all machines"
	switch {
	case err != nil:
		return err.(Problems)
	case len(n.Routes) == 0 || secret == "" && loopback(n.ClusterListen):
		return nil
	case secret == "":
		return Problems{{"nats.password_file", n.ClusterListen + " can be reached by other machines, and the servers have no secret", fix}}
	case len(secret) < minSecret:
		return Problems{{"nats.password_file", "the secret of the servers is shorter than 16 bytes", fix}}
	}
	return nil
}

// WitnessWarnings is the part of Warnings that is for a witness as well.
func (c *Config) WitnessWarnings() []string {
	n := &c.NATS
	if !n.Embedded || !n.plain() {
		return nil
	}
	return []string{"UNSAFE: the NATS servers of the nodes speak to each other without TLS on " + n.ClusterListen +
		": messages, and the secret by which they let each other in, can be read on the way; set nats.tls_ca, nats.tls_cert and nats.tls_key, or keep that network to these machines"}
}
