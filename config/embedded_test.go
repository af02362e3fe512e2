package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const testSecret = "hunter2hunter2hunter2"

// embedded returns the sound settings of a node with a NATS server inside, one of three.
func embedded(t *testing.T, set func(*Config)) *Config {
	t.Helper()
	return member(t, func(c *Config) {
		c.NATS = NATS{
			Embedded: true, ClusterListen: "10.0.0.1:6222", Password: testSecret, Insecure: true,
			Routes: []string{"10.0.0.1:6222", "10.0.0.2:6222", "witness.example.com:6222"},
		}
		c.Queue.Mode = QueueOverflow
		if set != nil {
			set(c)
		}
	})
}

func alone(c *Config) { c.NATS = NATS{Embedded: true} }

func TestCheckEmbedded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(testSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		set  func(*Config)
		want string // "" for sound, else a regexp of the one problem
	}{
		{"sound", nil, ""},
		{"the secret in a file", func(c *Config) { c.NATS.Password, c.NATS.PasswordFile = "", file }, ""},
		{"with TLS", func(c *Config) { c.NATS.TLSCA, c.NATS.TLSCert, c.NATS.TLSKey = file, file, file }, ""},
		{"with TLS, and no word for plain routes", func(c *Config) {
			c.NATS.TLSCA, c.NATS.TLSCert, c.NATS.TLSKey, c.NATS.Insecure = file, file, file, false
		}, ""},
		{"plain routes", func(c *Config) { c.NATS.Insecure = false }, `^nats\.cluster_listen: 10\.0\.0\.1:6222 can be reached .*without TLS.*nats\.insecure_routes`},
		{"plain routes on all addresses", func(c *Config) { c.NATS.Insecure, c.NATS.ClusterListen = false, ":6222" }, `^nats\.cluster_listen: :6222 can be reached`},
		{"on all addresses", func(c *Config) { c.NATS.ClusterListen = ":6222" }, ""},
		{"five servers", func(c *Config) { c.NATS.Routes = append(c.NATS.Routes, "d:6222", "e:6222"); c.Queue.Replicas = 5 }, ""},
		{"on loopback without a secret", func(c *Config) {
			c.NATS.Password, c.NATS.ClusterListen, c.NATS.Routes[0], c.NATS.Insecure = "", "127.0.0.1:6222", "127.0.0.1:6222", false
		}, ""},
		{"alone", alone, ""},
		{"alone, under the default name", func(c *Config) { alone(c); c.Node = Default().Node }, ""},
		{"no secret", func(c *Config) { c.NATS.Password = "" }, `^nats\.password_file: 10\.0\.0\.1:6222 can be reached by other machines, .*openssl rand`},
		{"a short secret", func(c *Config) { c.NATS.Password = "hunter2" }, `^nats\.password_file: .*shorter than 16`},
		{"a secret file that is not there", func(c *Config) { c.NATS.Password, c.NATS.PasswordFile = "", file+"x" }, `^nats\.password_file: .*cannot be read`},
		{"two secrets", func(c *Config) { c.NATS.PasswordFile = file }, `^nats\.password_file: there is a password`},
		{"two servers", func(c *Config) { c.NATS.Routes = c.NATS.Routes[:2] }, `^nats\.routes: there are two servers: .*roomtide witness`},
		{"one server", func(c *Config) { c.NATS.Routes = c.NATS.Routes[:1] }, `^nats\.routes: there is one server; .*stays alone`},
		{"a server twice", func(c *Config) { c.NATS.Routes[1] = c.NATS.Routes[0] }, `^nats\.routes: .*is there twice`},
		{"a route without a port", func(c *Config) { c.NATS.Routes[1] = "10.0.0.2" }, `^nats\.routes: "10\.0\.0\.2" is not host:port`},
		{"a route of any host", func(c *Config) { c.NATS.Routes[1] = "0.0.0.0:6222" }, `^nats\.routes: .*names no host`},
		{"a route at any port", func(c *Config) { c.NATS.Routes[1] = "10.0.0.2:0" }, `^nats\.routes: .*has no port`},
		{"nowhere to listen", func(c *Config) { c.NATS.ClusterListen = "" }, `^nats\.cluster_listen: "" is not an address`},
		{"routes without this server", func(c *Config) { c.NATS.ClusterListen, c.NATS.Routes[2] = "10.0.0.9:6222", "10.0.0.3:6222" }, `^nats\.routes: 10\.0\.0\.9:6222 .*not among them`},
		{"routes by name", func(c *Config) { c.NATS.ClusterListen = "10.0.0.9:6222" }, ""},
		{"listening without routes", func(c *Config) { c.NATS.Routes = nil }, `^nats\.cluster_listen: there are no other servers`},
		{"servers elsewhere as well", func(c *Config) { c.NATS.URL = []string{"nats://a"} }, `^nats\.embedded: there are servers in nats\.url`},
		{"a user", func(c *Config) { c.NATS.User = "u" }, `^nats\.user: .*has no users`},
		{"TLS without an authority", func(c *Config) { c.NATS.TLSCert, c.NATS.TLSKey = file, file }, `^nats\.tls_cert: not all of`},
		{"routes without a server", func(c *Config) { c.NATS.Embedded = false; c.Queue.Mode = QueueOff }, `^nats\.routes: .*set nats\.embedded`},
		{"more replicas than servers", func(c *Config) { c.Queue.Replicas = 5 }, `^queue\.replicas: it is more than there are servers`},
		{"three replicas alone", func(c *Config) { alone(c); c.Queue.Replicas = 3 }, `^queue\.replicas: `},
		{"no name", func(c *Config) { c.Node = Default().Node }, `^node: .*set node to a name`},
		{"alone over files", func(c *Config) { alone(c); c.Shards = nil }, `^shards: .*take nats\.embedded and queue\.mode out`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantProblem(t, embedded(t, tt.set).Check(), tt.want)
		})
	}
}

func TestPlainRoutesAreUnsafe(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*Config)
		want bool
	}{
		{"to other machines", nil, true},
		{"with TLS", func(c *Config) { c.NATS.TLSCert = "cert.pem" }, false},
		{"on loopback", func(c *Config) { c.NATS.ClusterListen = "127.0.0.1:6222" }, false},
		{"alone", alone, false},
	} {
		if got := strings.Contains(strings.Join(embedded(t, tt.set).Warnings(), "\n"), "without TLS"); got != tt.want {
			t.Errorf("%s: warned %v", tt.name, got)
		}
	}
}

// A witness needs no databases, and nothing that it has no use for is looked at.
func TestCheckWitness(t *testing.T) {
	witness := func(set func(*Config)) Problems {
		return embedded(t, func(c *Config) {
			c.Shards, c.Listen, c.Guests = nil, "nonsense", "on"
			if set != nil {
				set(c)
			}
		}).CheckWitness()
	}
	if ps := witness(nil); len(ps) > 0 {
		t.Errorf("%v", ps)
	}
	for want, set := range map[string]func(*Config){
		"a witness is one of several": alone,
		"needs? names of their own":   func(c *Config) { c.Node = Default().Node },
		"without TLS":                 func(c *Config) { c.NATS.Insecure = false },
		"two servers":                 func(c *Config) { c.NATS.Routes = c.NATS.Routes[:2] },
		"less than 16":                func(c *Config) { c.Queue.MiB = 1 },
		"is none of its words":        func(c *Config) { c.Log.Level = "loud" },
	} {
		if ps := witness(set); len(ps) != 1 || !regexp.MustCompile(want).MatchString(ps[0].String()) {
			t.Errorf("%s: %v", want, ps)
		}
	}
}
