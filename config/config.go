// Package config holds the settings of a node. The struct Config with its tags
// is the only place where a setting is declared: flags, ROOMTIDE_ environment
// variables, the commented TOML file, the checks of unknown keys and
// docs/configuration.md all come from it.
//
// Load merges the sources: flags override the environment, the environment the
// file, the file the defaults. Check then reports everything that would keep a node
// from starting, and Warnings what is allowed but unsafe.
package config

import (
	"net"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/roomtide/roomtide/chat"
)

// Config is every setting of a node. Tags: toml is the key in the file, from
// which the flag and the environment variable are derived; default and help are the
// value without a setting and the description; flag is the flag where it does not
// follow from the key; mask says what must not be shown; name and prefix give the
// parser of the command line the same flag (a test compares the two); words are the only
// values of a setting, and placeholder says that it names a file or directory, for the
// shells that complete command lines. Fields of the file's root come
// before its tables. A Config is read-only once loaded.
type Config struct {
	DataDir             string   `toml:"data_dir" placeholder:"DIR" default:"./roomtide-data" help:"Directory for everything the node keeps: databases, keys, roomtide.toml. Made if missing."`
	Node                string   `toml:"node" default:"local" help:"Name of this node: up to 63 letters, digits, - and _. Nodes that work together need names of their own, and a node keeps its name when it starts again."`
	Listen              string   `toml:"listen" default:"127.0.0.1:8080" help:"Address to listen on, host:port. Port 0 takes any free port."`
	Guests              string   `toml:"guests" words:"auto,on,off" default:"auto" help:"Whether users may come without a token, under the name they give: on, off, or auto (on only while listening on loopback with no trusted_proxies and no [auth] keys, and only for requests that no proxy has forwarded). Guests have to use a name of the node: localhost, an address, that of listen, or one in origins."`
	InsecureHTTP        bool     `toml:"insecure_http" name:"insecure-http" default:"false" help:"Allow plain HTTP on an address that is not loopback. Tokens and messages can then be read on the way."`
	Origins             []string `toml:"origins" default:"" help:"Web origins whose pages may connect, such as https://www.example.org. The node's own origin is always allowed; * allows all."`
	TrustedProxies      []string `toml:"trusted_proxies" default:"" help:"Networks (CIDR) of proxies whose X-Forwarded-For names the client."`
	SQLiteShards        int      `toml:"sqlite_shards" name:"sqlite-shards" default:"4" help:"Number of SQLite files in the data dir. Counts only at a first start without [[shards]]. While the node runs each may take 64 MiB of disk besides its data (its write-ahead log), less while less than 256 MiB are free."`
	MaxConnections      int      `toml:"max_connections" default:"100000" help:"Connections at once; further ones are told to come back later."`
	MaxConnectionsPerIP int      `toml:"max_connections_per_ip" name:"max-connections-per-ip" default:"10000" help:"Connections at once from one address (of IPv6: from one /64); 0 is no limit. Trusted proxies and 127.0.0.1 have none. Over all nodes of a cluster."`
	AcceptRate          int      `toml:"accept_rate" default:"0" help:"New WebSockets, Socket.IO sessions and event streams per second; the others wait, in turn between addresses. 0 is 450 for each processor. One address may open as many TCP connections in four seconds."`
	Compression         bool     `toml:"compression" default:"false" help:"Compress messages on WebSockets of clients that offer it (permessage-deflate). Takes a third off a usual message and costs 10 microseconds for each event, however many get it."`
	SocketIORecovery    string   `toml:"socketio_recovery" name:"socketio-recovery" words:"auto,on,off" default:"auto" help:"Whether Socket.IO clients resume by themselves, for which events have one more argument: on, off, or auto (on for browsers and Node.js). Clients choose for themselves with recovery in their auth."`
	DrainTimeout        Duration `toml:"drain_timeout" default:"10s" help:"How long a stopping node waits for work in flight."`
	HSTS                Duration `toml:"hsts" name:"hsts" default:"168h" help:"With a certificate of its own: for how long browsers use nothing but HTTPS for this host, on all its ports (Strict-Transport-Security). 0s: not told."`
	NoRateLimits        bool     `toml:"no_rate_limits" default:"false" help:"Switch off all of [rates], for benchmarks. No other limit goes with them."`
	MetricsListen       string   `toml:"metrics_listen" default:"" help:"Address that serves /metrics without a key, host:port, such as 127.0.0.1:9090. Empty: none."`
	MetricsPublic       bool     `toml:"metrics_public" default:"false" help:"Show /metrics to requests without an API key too."`
	Pprof               string   `toml:"pprof" default:"" help:"Loopback address for Go profiles, host:port. Empty: none."`
	RequireDurable      bool     `toml:"require_durable" default:"false" help:"Do not start while a database could lose messages that were acknowledged, such as MySQL with innodb_flush_log_at_trx_commit = 2. Without it that is a warning."`
	TokenKeyFile        string   `toml:"token_key_file" placeholder:"FILE" default:"" help:"File with the key that signs the tokens of roomtide token, and of applications without keys in [auth]: 64 hexadecimal digits. All nodes of a cluster need the same key. Empty: token.key in the data dir, which the first start makes."`
	Redis               string   `toml:"redis" default:"" mask:"dsn" placeholder:"URL" help:"Redis (7.0 or later) or Valkey that has who is online, for several nodes and for programs of yours: redis://user:password@host:6379/0, or rediss:// with TLS. Without it, or while it does not answer, the databases are asked."`
	RedisPasswordFile   string   `toml:"redis_password_file" placeholder:"FILE" default:"" help:"File that holds the password for redis, instead of the URL."`
	RedisPrefix         string   `toml:"redis_prefix" default:"" help:"What all keys in Redis begin with, such as shop: for a Redis that others use as well. Empty: room:{id}:users and user:{id}:online as they stand here, and roomtide: for the rest."`
	Control             string   `toml:"control" default:"" mask:"dsn" placeholder:"DSN" help:"Where the slot map and the API keys are: a DSN, or the name of one of [[shards]]. Empty: control.db in the data dir if there is one, else at a first start with [[shards]] the database of the first one."`
	Shards              []Shard  `toml:"shards" name:"shard" flag:"shard" sep:"none" placeholder:"DSN" mask:"dsn" help:"Databases that hold rooms and users, of any of these kinds: mysql://user:password@host:3306/database (MariaDB as well), postgres://user:password@host:5432/database, sqlite:NAME.db. The flag may be repeated; in the variable a space separates them. Another prefix than roomtide_ is written as ?prefix=. Empty: SQLite files in the data dir."`

	TLS    TLS    `toml:"tls" embed:"" prefix:"tls-" group:"TLS"`
	Log    Log    `toml:"log" embed:"" prefix:"log-" group:"Logging"`
	NATS   NATS   `toml:"nats" embed:"" prefix:"nats-" group:"Several nodes"`
	Queue  Queue  `toml:"queue" embed:"" prefix:"queue-" group:"Several nodes"`
	Push   Push   `toml:"push" embed:"" prefix:"push-" group:"Push notifications"`
	Ingest Ingest `toml:"ingest" embed:"" prefix:"ingest-" group:"Messages from queues"`
	Auth   Auth   `toml:"auth" embed:"" prefix:"auth-" group:"Tokens of your application"`
	Hooks  Hooks  `toml:"webhooks" embed:"" prefix:"webhooks-" group:"Webhooks"`
	Rates  Rates  `toml:"rates" embed:"" prefix:"rates-" group:"Rate limits"`
	Limits Limits `toml:"limits" embed:"" prefix:"limits-" group:"Limits"`

	origin     map[string]string // key -> where its value came from; absent: default
	file       string            // the file that was read or would be, see File
	unknownEnv []string          // ROOMTIDE_ variables that mean nothing here
	passwords  map[string]string // the environment variables that shards name as password_env
}

// TLS is the certificate of the node.
type TLS struct {
	Cert string `toml:"cert" placeholder:"FILE" default:"" help:"Certificate chain, PEM file. With key: serve HTTPS and wss."`
	Key  string `toml:"key" placeholder:"FILE" default:"" help:"Private key of the certificate, PEM file."`
}

// Log says what is logged and how.
type Log struct {
	Level  string `toml:"level" words:"debug,info,warn,error" default:"info" help:"Least level that is logged: debug, info, warn or error."`
	Format string `toml:"format" words:"text,json" default:"text" help:"Form of log lines: text or json."`
}

// Auth says which user tokens (JWT) are accepted, besides those that
// "roomtide token" makes.
type Auth struct {
	JWKSURL  string    `toml:"jwks_url" name:"jwks-url" default:"" mask:"url" help:"URL of the public keys (JWKS) that sign user tokens."`
	Issuer   string    `toml:"issuer" default:"" help:"Required issuer (iss) of tokens signed with these keys. Empty: not looked at."`
	Audience string    `toml:"audience" default:"" help:"Required audience (aud) of tokens signed with these keys. Empty: not looked at."`
	Keys     []AuthKey `toml:"keys" kong:"-"`
}

// configured reports whether an application signs tokens.
func (a *Auth) configured() bool { return a.JWKSURL != "" || len(a.Keys) > 0 }

// AuthKey is one key that signs user tokens; it can be set in the file only.
// The secret or public key itself is in a file of its own.
type AuthKey struct {
	KID           string `toml:"kid" help:"Name of the key, as in the header of tokens. Without it, it is tried on every token of its alg."`
	Alg           string `toml:"alg" help:"HS256, RS256, ES256 or EdDSA."`
	SecretFile    string `toml:"secret_file" help:"HS256: file that holds the secret."`
	PublicKeyFile string `toml:"public_key_file" help:"Others: PEM file of the public key."`
}

// Hooks says how the host's back end is called. Which endpoints get events is not a setting:
// "roomtide webhook add" makes them.
type Hooks struct {
	Allow    []string `toml:"allow" default:"" help:"Addresses and networks that may be called though they are not public, such as 127.0.0.1 or 10.1.0.0/16."`
	Timeout  Duration `toml:"timeout" default:"15s" help:"How long an endpoint may take to answer."`
	RetryFor Duration `toml:"retry_for" default:"72h" help:"How old an event gets before it is given up and kept as a dead letter. Until then an endpoint that is down gets everything, in order."`
	History  Duration `toml:"history" default:"72h" help:"How long events are kept to be delivered again (roomtide webhook replay), while there are webhooks. 0s: not at all."`

	OfflineAfter Duration `toml:"offline_after" default:"15s" help:"How long a user has no connection before user.offline is told, 1s to 1h. Who comes back before was never away."`

	BeforeMessage           string   `toml:"before_message" default:"" mask:"url" placeholder:"URL" help:"URL that is asked about each message and edit before it is stored: it may allow, refuse or rewrite it. Empty: none."`
	BeforeMessageSecretFile string   `toml:"before_message_secret_file" placeholder:"FILE" default:"" help:"File with the secret that signs these requests: whsec_ and the base64 of 24 to 64 bytes."`
	BeforeMessageTimeout    Duration `toml:"before_message_timeout" default:"1s" help:"How long it may take to answer, 10s at most."`
	BeforeMessageFailure    string   `toml:"before_message_failure" words:"unset,open,closed" default:"unset" help:"What becomes of a message while it does not answer: open stores it as it is, closed refuses it. Has to be said."`
	BeforeMessageInsecure   bool     `toml:"before_message_insecure" default:"false" help:"The URL may be http: messages can then be read on the way."`
}

// Rates bound how often commands are accepted: each a rate per second and a burst.
type Rates struct {
	UserMessages float64 `toml:"user_messages" default:"20" help:"Messages, edits and reactions of one user, per second."`
	UserBurst    int     `toml:"user_burst" default:"60" help:"How many of them at once."`
	RoomMessages float64 `toml:"room_messages" default:"300" help:"Messages in one room, per second."`
	RoomBurst    int     `toml:"room_burst" default:"600" help:"How many of them at once."`
	Joins        float64 `toml:"joins" default:"50" help:"Joins of one user, per second."`
	JoinBurst    int     `toml:"join_burst" default:"1000" help:"How many of them at once; a client that comes back joins all its rooms."`
	ReadBytes    float64 `toml:"read_bytes" default:"1048576" help:"Bytes of answers (history, changes, joins, members, rooms) to one user, per second; each question costs 1024 besides."`
	ReadBurst    int     `toml:"read_burst" default:"33554432" help:"How many of them at once."`

	GuestMessages  float64 `toml:"guest_messages" default:"200" help:"Messages, edits and reactions of all guests of one network, per second. The name of a guest costs nothing, so the other rates do not bound guests."`
	GuestBurst     int     `toml:"guest_burst" default:"1000" help:"How many of them at once."`
	GuestJoins     float64 `toml:"guest_joins" default:"200" help:"Joins of all guests of one network, per second."`
	GuestJoinBurst int     `toml:"guest_join_burst" default:"5000" help:"How many of them at once."`
	GuestRooms     float64 `toml:"guest_rooms" default:"1" help:"Rooms that guests of one network make, per second."`
	GuestRoomBurst int     `toml:"guest_room_burst" default:"200" help:"How many of them at once."`
}

// Limits are chat.Limits with their keys and help; the conversion in
// Config.ChatLimits fails to compile when the two differ.
type Limits struct {
	IDBytes       int `toml:"id_bytes" name:"id-bytes" default:"128" help:"Bytes of a room or user id."`
	NameBytes     int `toml:"name_bytes" default:"256" help:"Bytes of a display name or a room's title."`
	TopicBytes    int `toml:"topic_bytes" default:"1024" help:"Bytes of a room's topic."`
	AvatarBytes   int `toml:"avatar_bytes" default:"512" help:"Bytes of the address of a picture."`
	AboutBytes    int `toml:"about_bytes" default:"4096" help:"Bytes of the JSON that your application keeps about a user, a room or a member."`
	MessageRunes  int `toml:"message_runes" default:"4000" help:"Characters of a message."`
	MessageBytes  int `toml:"message_bytes" default:"16384" help:"Bytes of a message."`
	DataBytes     int `toml:"data_bytes" default:"16384" help:"Bytes of the JSON that your application sends with a message."`
	KeyBytes      int `toml:"key_bytes" default:"128" help:"Bytes of an idempotency key."`
	EmojiBytes    int `toml:"emoji_bytes" default:"64" help:"Bytes of a reaction."`
	Emojis        int `toml:"emojis" default:"20" help:"Different emoji under one message."`
	FrameBytes    int `toml:"frame_bytes" default:"65536" help:"Bytes of a frame or request body from a client."`
	RoomsPerConn  int `toml:"rooms_per_conn" default:"0" help:"Rooms joined at once on a connection. 0 is 1000, or 50 while guests are welcome."`
	PageMessages  int `toml:"page_messages" default:"100" help:"Messages in one answer."`
	PageMembers   int `toml:"page_members" default:"1000" help:"Members or users in one answer."`
	InFlight      int `toml:"in_flight" default:"256" help:"Commands of one connection that wait for their commit."`
	ReadEventRoom int `toml:"read_event_room" default:"100" help:"Read marks are told to rooms with up to this many users online."`
}

// Default returns the settings of a node without flags, environment and file.
func Default() *Config {
	c := &Config{origin: map[string]string{}}
	for _, s := range c.Settings() {
		if err := s.set(s.Default); err != nil {
			panic("config: default of " + s.Key + ": " + err.Error())
		}
	}
	return c
}

// File is the TOML file that was read, or that the next start would read if it
// existed.
func (c *Config) File() string { return c.file }

// ChatLimits returns the limits in force.
func (c *Config) ChatLimits() chat.Limits {
	l := chat.Limits(c.Limits)
	if l.RoomsPerConn == 0 {
		l.RoomsPerConn = chat.DefaultLimits().RoomsPerConn
		if c.GuestsWelcome() {
			l.RoomsPerConn = chat.DemoRoomsPerConn
		}
	}
	return l
}

// GuestsWelcome reports whether users may connect without a token. With "auto" a
// node accepts them only while it can be reached from this machine alone (a trusted
// proxy means that it can be reached from elsewhere) and no application has users of
// its own, whose names a guest could take.
func (c *Config) GuestsWelcome() bool {
	if c.Guests == "auto" {
		return c.Loopback() && len(c.TrustedProxies) == 0 && !c.Auth.configured()
	}
	return c.Guests == "on"
}

// HTTPS reports whether the node has a certificate of its own.
func (c *Config) HTTPS() bool { return c.TLS.Cert != "" && c.TLS.Key != "" }

// TokenKey is the path of the file with the key for tokens.
func (c *Config) TokenKey() string {
	if c.TokenKeyFile != "" {
		return c.TokenKeyFile
	}
	return filepath.Join(c.DataDir, TokenKeyName)
}

// TokenKeyName is that file in the data dir, where the settings name no other.
const TokenKeyName = "token.key"

// Loopback reports whether only this machine can reach the node.
func (c *Config) Loopback() bool { return loopback(c.Listen) }

// Proxies returns TrustedProxies, parsed. Entries that Check rejects are left out.
func (c *Config) Proxies() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range c.TrustedProxies {
		if p, err := parseNetwork(s); err == nil {
			out = append(out, p)
		}
	}
	return out
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// parseNetwork reads a CIDR or a single address.
func parseNetwork(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}
