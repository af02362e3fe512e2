package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/internal/origin"
)

// Problem is something that keeps a node from starting.
type Problem struct {
	Where string // the key, variable, or file and line
	Text  string // what is wrong
	Fix   string // what to do about it
}

func (p Problem) String() string { return p.Where + ": " + p.Text + "; " + p.Fix }

// Problems is the error of Load and Check, a line for each problem.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Check returns all problems of c at once, nil if there is none. It reads the files
// that c names, and changes nothing.
func (c *Config) Check() Problems {
	var ps Problems
	for _, part := range []func() Problems{
		c.checkNode, c.checkListen, c.checkWords, c.checkNetworks, c.checkTLS, c.checkAuth, c.checkNumbers, c.checkShards, c.checkNATS, c.checkQueue, c.checkRedis, c.checkPush, c.checkIngest, c.checkHooks,
	} {
		ps = append(ps, part()...)
	}
	return ps
}

// Warnings returns what is allowed but unsafe, and what was given without effect.
func (c *Config) Warnings() []string {
	var out []string
	unsafe := func(is bool, text string) {
		if is {
			out = append(out, "UNSAFE: "+text)
		}
	}
	open := !c.Loopback()
	unsafe(open && c.GuestsWelcome(), "guests are welcome on "+c.Listen+": anybody who reaches it can write under any name; set guests = \"off\" for production")
	unsafe(c.GuestsWelcome() && c.Auth.configured(), "guests are welcome beside the users of your application, and can take their names; set guests = \"off\"")
	unsafe(open && !c.HTTPS(), "plain HTTP on "+c.Listen+": tokens and messages can be read on the way; set tls.cert and tls.key, or put a proxy with TLS in front")
	unsafe(c.NoRateLimits, "rate limits are off: one client can take all of the node's time")
	unsafe(c.Auth.JWKSURL != "" && c.Auth.Audience == "", "auth.jwks_url without auth.audience: every token that its issuer has made for any application is taken; set auth.audience, and auth.issuer")
	unsafe(slices.Contains(c.Origins, "*"), "origins allows every web page to connect with its visitors' tokens")
	unsafe(open && c.MetricsPublic, "/metrics is open to everybody")
	unsafe(c.MetricsListen != "" && !loopback(c.MetricsListen), "metrics are served on "+c.MetricsListen+" to everybody that reaches it")
	unsafe(c.Pprof != "", "Go profiles are served on "+c.Pprof)
	out = append(out, c.WitnessWarnings()...)
	if len(c.unknownEnv) > 0 {
		out = append(out, "UNUSED: these environment variables mean nothing here: "+strings.Join(c.unknownEnv, ", "))
	}
	return out
}

func (c *Config) checkNode() Problems {
	if err := cluster.CheckName(c.Node); err != nil {
		return Problems{{"node", strconv.Quote(c.Node) + " is not a name: " + chat.Public(err).Text, "write one such as roomtide-1"}}
	}
	return nil
}

func (c *Config) checkListen() Problems {
	var ps Problems
	if err := checkAddress(c.Listen); err != nil {
		ps = append(ps, Problem{"listen", err.Error(), "write host:port, such as 127.0.0.1:8080"})
	} else if !c.Loopback() && !c.InsecureHTTP && c.TLS == (TLS{}) {
		ps = append(ps, Problem{"listen", c.Listen + " can be reached by other machines, but there is no TLS",
			"set tls.cert and tls.key, or listen on 127.0.0.1 behind a proxy that does TLS, or say --insecure-http if plain HTTP is really meant"})
	}
	return append(ps, c.checkAside()...)
}

// checkAside looks at the addresses beside that of clients.
func (c *Config) checkAside() Problems {
	var ps Problems
	if c.Pprof != "" && (checkAddress(c.Pprof) != nil || !loopback(c.Pprof)) {
		ps = append(ps, Problem{"pprof", strconv.Quote(c.Pprof) + " is not a loopback address", "write 127.0.0.1:6060, or leave it empty"})
	}
	if c.MetricsListen != "" && checkAddress(c.MetricsListen) != nil {
		ps = append(ps, Problem{"metrics_listen", strconv.Quote(c.MetricsListen) + " is not an address", "write host:port, such as 127.0.0.1:9090, or leave it empty"})
	}
	return ps
}

func checkAddress(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		var n int
		if n, err = strconv.Atoi(port); err == nil && n >= 0 && n <= 65535 {
			return nil
		}
	}
	return fmt.Errorf("%q is not an address", s)
}

func (c *Config) checkWords() Problems {
	var ps Problems
	for _, s := range c.Settings() {
		if have, ok := s.value.Interface().(string); ok && len(s.words) > 0 && !slices.Contains(s.words, have) {
			ps = append(ps, Problem{s.Key, strconv.Quote(have) + " is none of its words", "write one of " + strings.Join(s.words, ", ")})
		}
	}
	return ps
}

func (c *Config) checkNetworks() Problems {
	var ps Problems
	for _, o := range c.Origins {
		if fix := origin.Check(o); fix != "" {
			ps = append(ps, Problem{"origins", strconv.Quote(o) + " is not an origin", fix})
		}
	}
	for _, n := range c.TrustedProxies {
		if _, err := parseNetwork(n); err != nil {
			ps = append(ps, Problem{"trusted_proxies", strconv.Quote(n) + " is not a network", "write a CIDR such as 10.0.0.0/8, or an address"})
		}
	}
	return ps
}

func (c *Config) checkTLS() Problems {
	if c.TLS == (TLS{}) {
		return nil
	}
	if !c.HTTPS() {
		return Problems{{"tls", "only one of cert and key is set", "set both, or none"}}
	}
	if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
		return Problems{{"tls", err.Error(), "check that both files are PEM, readable, and belong together"}}
	}
	return nil
}

func (c *Config) checkAuth() Problems {
	var ps Problems
	if file := c.TokenKeyFile; file != "" {
		if _, err := os.ReadFile(file); err != nil {
			ps = append(ps, Problem{"token_key_file", file + " cannot be read: " + cause(err), "make one with \"openssl rand -hex 32\", the same for all nodes, which the node's user can read; or check the path"})
		}
	}
	if s := c.Auth.JWKSURL; s != "" {
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Host == "":
			ps = append(ps, Problem{"auth.jwks_url", "it is not a URL", "write it whole, such as https://id.example.org/.well-known/jwks.json"})
		case u.Scheme != "https" && (u.Scheme != "http" || !loopback(net.JoinHostPort(u.Hostname(), "0"))):
			ps = append(ps, Problem{"auth.jwks_url", "keys fetched over plain HTTP can be replaced on the way", "use https, or http to loopback"})
		}
	}
	seen := map[string]bool{}
	for i, k := range c.Auth.Keys {
		where := fmt.Sprintf("auth.keys[%d]", i)
		if seen[k.KID] {
			ps = append(ps, Problem{where, "kid " + strconv.Quote(k.KID) + " is used twice", "give each key a name of its own"})
		}
		seen[k.KID] = true
		ps = append(ps, k.check(where)...)
	}
	return ps
}

func (k AuthKey) check(where string) Problems {
	file := k.PublicKeyFile
	switch k.Alg {
	case "HS256":
		if file = k.SecretFile; k.PublicKeyFile != "" || file == "" {
			return Problems{{where, "HS256 needs secret_file and no public_key_file", "name the file that holds the secret"}}
		}
	case "RS256", "ES256", "EdDSA":
		if k.SecretFile != "" || file == "" {
			return Problems{{where, k.Alg + " needs public_key_file and no secret_file", "name the PEM file of the public key"}}
		}
	default:
		return Problems{{where, strconv.Quote(k.Alg) + " is no algorithm known here", "alg is one of HS256, RS256, ES256, EdDSA"}}
	}
	data, err := os.ReadFile(file)
	switch {
	case err != nil:
		return Problems{*unreadable(where, file, err)}
	case k.Alg == "HS256" && len(strings.TrimSpace(string(data))) < 32:
		return Problems{{where, "the secret in " + file + " is shorter than 32 bytes", "make a longer one: openssl rand -hex 32"}}
	}
	return nil
}

func (c *Config) checkNumbers() Problems {
	var ps Problems
	for _, s := range c.Settings() {
		least := 1.0
		switch s.Key {
		case "max_connections_per_ip", "accept_rate", "limits.rooms_per_conn", "limits.read_event_room", "queue.replicas":
			least = 0
		}
		var v float64
		switch n := s.value.Interface().(type) {
		case int:
			v = float64(n)
		case float64: // a rate: above 0, and one event in a thousand seconds is as slow as makes sense
			v, least = n, 0.001
		case Duration:
			v, least = time.Duration(n).Seconds(), 0
		default:
			continue
		}
		if !(v >= least && v <= 1<<31-1) {
			ps = append(ps, Problem{s.Key, s.toml() + " is out of range", fmt.Sprintf("write at least %v", least)})
		}
	}
	if c.SQLiteShards > maxShards {
		ps = append(ps, Problem{"sqlite_shards", fmt.Sprintf("%d is more than %d", c.SQLiteShards, maxShards), "a shard per disk or core is plenty"})
	}
	if c.Limits.FrameBytes < c.Limits.MessageBytes+c.Limits.DataBytes {
		ps = append(ps, Problem{"limits.frame_bytes", "a frame must have room for message_bytes and data_bytes together", "raise it, or lower the others"})
	}
	return ps
}

const maxShards = 64
