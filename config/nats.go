package config

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
)

// NATS says where the servers are through which nodes speak to each other, or that one
// of them is in this process.
type NATS struct {
	URL           []string `toml:"url" mask:"dsn" default:"" help:"NATS servers through which the nodes of a cluster speak to each other: nats://host:4222 or tls://host:4222. The first one is tried first, so name the nearest one there. Empty: this node is alone, unless embedded is set."`
	Embedded      bool     `toml:"embedded" default:"false" help:"Run a NATS server inside this process, in place of those of url: one of three with routes, or one for the queue of a single node without. Its files are in the data dir, in the directory nats."`
	ClusterListen string   `toml:"cluster_listen" default:"" help:"With embedded and routes: address where this node's NATS server takes connections of the others, host:port, such as 10.0.0.1:6222."`
	Routes        []string `toml:"routes" default:"" help:"With embedded: addresses (cluster_listen) of the NATS servers of all nodes, this one included, host:port, the same list everywhere. There are at least three: where there are two nodes, the third is a witness (roomtide witness)."`
	Insecure      bool     `toml:"insecure_routes" name:"insecure-routes" default:"false" help:"With embedded: allow routes without TLS on an address that is not loopback. Messages, and the secret of the servers, can then be read on the way."`
	User          string   `toml:"user" default:"" help:"User at the NATS servers."`
	Password      string   `toml:"password" mask:"secret" default:"" help:"Password of that user. With embedded: the secret by which the servers of all nodes let each other in, the same everywhere."`
	PasswordFile  string   `toml:"password_file" placeholder:"FILE" default:"" help:"File that holds the password, instead of the setting."`
	Credentials   string   `toml:"credentials" placeholder:"FILE" default:"" help:"Credentials file of NATS (.creds), instead of user and password."`
	TLSCA         string   `toml:"tls_ca" name:"tls-ca" placeholder:"FILE" default:"" help:"Certificates that may sign those of the NATS servers, PEM file. Empty: those of the system."`
	TLSCert       string   `toml:"tls_cert" name:"tls-cert" placeholder:"FILE" default:"" help:"Certificate of this node for NATS servers that ask for one, PEM file. With embedded: with tls_ca and tls_key, the servers of all nodes speak TLS to each other, and each shows its certificate, which is read again when it was renewed."`
	TLSKey        string   `toml:"tls_key" name:"tls-key" placeholder:"FILE" default:"" help:"Private key of that certificate, PEM file."`
}

// Cluster reports whether the node has NATS, through which it works together with
// others, or alone with a queue.
func (c *Config) Cluster() bool { return len(c.NATS.URL) > 0 || c.NATS.Embedded }

// alone reports whether the node's NATS is its own, and no other node's.
func (c *Config) alone() bool { return c.NATS.Embedded && len(c.NATS.Routes) == 0 }

// Secret returns the password for NATS, from the setting or its file. The error is a
// Problems.
func (n *NATS) Secret() (string, error) {
	if n.PasswordFile == "" {
		return n.Password, nil
	}
	password, problem := readPassword("nats.password_file", n.PasswordFile)
	if problem != nil {
		return "", Problems{*problem}
	}
	return password, nil
}

// checkNATS reports what is wrong with [nats], and what a node of a cluster may not
// have.
func (c *Config) checkNATS() Problems {
	n := &c.NATS
	if n.Embedded {
		return append(c.checkEmbedded(), c.checkMember()...)
	}
	if n.ClusterListen != "" || len(n.Routes) > 0 || n.Insecure {
		return Problems{{"nats.routes", "routes, cluster_listen and insecure_routes are for a NATS server in this process, and there is none", "set nats.embedded, or take them out"}}
	}
	if !c.Cluster() {
		if n.User+n.Password+n.PasswordFile+n.Credentials+n.TLSCA+n.TLSCert+n.TLSKey != "" {
			return Problems{{"nats", "it is set but for the address of a server", "set nats.url, or take the others out"}}
		}
		return nil
	}
	var ps Problems
	for _, u := range n.URL {
		if text := checkNATSAddress(u); text != "" {
			ps = append(ps, Problem{"nats.url", strconv.Quote(Mask(u)) + " " + text, "write nats://host:4222 or tls://host:4222; user and password are settings of their own"})
		}
	}
	ps = append(ps, n.checkSecrets()...)
	ps = append(ps, n.checkFiles()...)
	return append(ps, c.checkMember()...)
}

func checkNATSAddress(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "is not the address of a NATS server"
	case u.Scheme != "nats" && u.Scheme != "tls":
		return "is neither nats:// nor tls://"
	case u.User != nil:
		return "has a user in it"
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return "has more in it than a host and a port"
	}
	return ""
}

func (n *NATS) checkSecrets() Problems {
	var ps Problems
	switch {
	case n.Credentials != "" && (n.User != "" || n.Password != "" || n.PasswordFile != ""):
		ps = append(ps, Problem{"nats.credentials", "there are a user and a password as well", "keep the one that the NATS servers ask for"})
	case n.Password != "" && n.PasswordFile != "":
		ps = append(ps, Problem{"nats.password_file", "there is a password in the settings as well", "keep one of the two"})
	case (n.Password != "" || n.PasswordFile != "") != (n.User != ""):
		ps = append(ps, Problem{"nats.user", "only one of user and password is set", "set both, or none"})
	}
	if _, err := n.Secret(); err != nil {
		ps = append(ps, err.(Problems)...)
	}
	return ps
}

func (n *NATS) checkFiles() Problems {
	ps := n.checkReadable()
	if (n.TLSCert == "") != (n.TLSKey == "") {
		ps = append(ps, Problem{"nats.tls_cert", "only one of tls_cert and tls_key is set", "set both, or none"})
	}
	return ps
}

func (n *NATS) checkReadable() (ps Problems) {
	for where, file := range map[string]string{"nats.credentials": n.Credentials, "nats.tls_ca": n.TLSCA, "nats.tls_cert": n.TLSCert, "nats.tls_key": n.TLSKey} {
		if file == "" {
			continue
		}
		if _, err := os.ReadFile(file); err != nil {
			ps = append(ps, *unreadable(where, file, err))
		}
	}
	return ps
}

// checkMember reports why this node cannot be one of several.
func (c *Config) checkMember() Problems {
	ps := c.checkOwnName()
	fix := "a SQLite file belongs to one node: use databases that all nodes reach, see docs/databases.md; docs/moving.md says how rooms leave files"
	if c.alone() {
		fix = "the queue is for outages of a database over a network, see docs/databases.md; a SQLite file is on the disk that the queue would be on: take nats.embedded and queue.mode out"
	}
	if len(c.Shards) == 0 {
		ps = append(ps, Problem{"shards", "without [[shards]] the rooms are in SQLite files of this node", fix})
	}
	if shards, err := c.Databases(); err == nil {
		for i := range shards {
			if shards[i].Engine == SQLite {
				ps = append(ps, Problem{"shards", shards[i].Name + " is a SQLite file of this node", fix})
			}
		}
	}
	control, err := c.ControlDatabase()
	switch {
	case err != nil: // checkShards tells
	case control != nil && control.Engine == SQLite:
		ps = append(ps, Problem{"control", control.Name + " is a SQLite file of this node", fix})
	case control == nil && c.hasControlFile():
		ps = append(ps, Problem{"control", "the control database is a SQLite file of this node, in " + c.DataDir, "move it, while no node runs: roomtide control move --to DSN, or the name of a shard"})
	}
	return ps
}

// checkOwnName reports that a node that works together with others has no name.
func (c *Config) checkOwnName() Problems {
	if c.alone() || c.origin["node"] != "" || c.Node != Default().Node {
		return nil
	}
	return Problems{{"node", "nodes that work together need names of their own, and this one has none", "set node to a name that no other node has and that stays, such as the name of the machine"}}
}

func (c *Config) hasControlFile() bool {
	_, err := os.Stat(filepath.Join(c.DataDir, controlFile))
	return !errors.Is(err, fs.ErrNotExist)
}
