package config

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/roomtide/roomtide/chat"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

// load loads with a file of the given text ("" for none) in the data dir.
func load(t *testing.T, file string, env []string, set func(*Config), given ...string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	if file != "" {
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := Default()
	if set != nil {
		set(flags)
	}
	return Load(Args{Values: flags, Given: given}, append([]string{"ROOMTIDE_DATA_DIR=" + dir}, env...))
}

func TestPrecedence(t *testing.T) {
	const file = "drain_timeout = '3s'\norigins = ['https://a.example']\n[limits]\nemojis = 3\n"
	flags := func(c *Config) { c.Limits.Emojis, c.DrainTimeout = 5, 0 }
	for _, tt := range []struct {
		name, file string
		env        []string
		given      []string
		emojis     int
		origin     string
	}{
		{name: "default", emojis: 20},
		{name: "file", file: file, emojis: 3, origin: FileName},
		{name: "environment", file: file, env: []string{"ROOMTIDE_LIMITS_EMOJIS=4"}, emojis: 4, origin: "ROOMTIDE_LIMITS_EMOJIS"},
		{name: "flag", file: file, env: []string{"ROOMTIDE_LIMITS_EMOJIS=4"}, given: []string{"limits-emojis"}, emojis: 5, origin: "--limits-emojis"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(t, tt.file, tt.env, flags, tt.given...)
			if err != nil {
				t.Fatal(err)
			}
			if c.Limits.Emojis != tt.emojis || !strings.HasSuffix(c.origin["limits.emojis"], tt.origin) || (tt.origin == "" && c.origin["limits.emojis"] != "") {
				t.Errorf("emojis = %d from %q, want %d from %q", c.Limits.Emojis, c.origin["limits.emojis"], tt.emojis, tt.origin)
			}
			if tt.file != "" && (c.DrainTimeout.String() != "3s" || !slices.Equal(c.Origins, []string{"https://a.example"})) {
				t.Errorf("the rest of the file was lost: %v %v", c.DrainTimeout, c.Origins)
			}
		})
	}
}

func TestBadSources(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		env        []string
		want       string // regexp
	}{
		{"unknown key", "guests = 'off'\nlisen = 'x'\n", nil, `roomtide\.toml:2: there is no setting lisen;`},
		{"unknown key in a table", "[tls]\n\ncertificate = 'x'\n", nil, `roomtide\.toml:3: there is no setting tls\.certificate;`},
		{"unknown table", "[tsl]\ncert = 'x'\n", nil, `roomtide\.toml:\d: there is no setting tsl`},
		{"wrong type", "\nsqlite_shards = 'four'\n", nil, `roomtide\.toml:2: .*shards`},
		{"a text for a list", "[nats]\nurl = 'nats://nats:4222'\n", nil, `roomtide\.toml:2: nats\.url: it has a TOML string, and takes a list of texts: \["…", "…"\]`},
		{"below a table", "[[shards]]\ndsn = 'x'\n\nnode = 'a'\n", nil, `roomtide\.toml:4: there is no setting shards\.node; node belongs to no table: move the line to the beginning`},
		{"the number of shards", "\nshards = 4\n", nil, `roomtide\.toml:2: .*the number of SQLite files is sqlite_shards`},
		{"unknown key of a shard", "[[shards]]\ndns = 'x'\n", nil, `roomtide\.toml:2: there is no setting shards\.dns;`},
		{"wrong duration", "drain_timeout = 'soon'\n", nil, `roomtide\.toml:1: .*"soon" is not a duration`},
		{"not TOML", "a = = b\n", nil, `roomtide\.toml:1: `},
		{"data dir in itself", "data_dir = '/x'\n", nil, `data_dir is set in the file that was found in the data dir`},
		{"all variables at once", "", []string{"ROOMTIDE_SQLITE_SHARDS=four", "ROOMTIDE_NO_RATE_LIMITS=maybe"}, `(?s)ROOMTIDE_SQLITE_SHARDS: "four" is not a whole number.*ROOMTIDE_NO_RATE_LIMITS: "maybe"`},
		{"named file is missing", "", []string{"ROOMTIDE_CONFIG=/nowhere/x.toml"}, `/nowhere/x\.toml: .*no such file`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.file, tt.env, nil)
			if err == nil || !regexp.MustCompile(tt.want).MatchString(err.Error()) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestDefaultsAreSound(t *testing.T) {
	c := Default()
	if ps := c.Check(); ps != nil {
		t.Error(ps)
	}
	if ws := c.Warnings(); ws != nil {
		t.Error(ws)
	}
	want := chat.DefaultLimits()
	want.RoomsPerConn = chat.DemoRoomsPerConn
	if got := c.ChatLimits(); got != want {
		t.Errorf("limits with guests %+v, want %+v", got, want)
	}
	c.Guests = "off"
	if got := c.ChatLimits(); got != chat.DefaultLimits() {
		t.Errorf("limits %+v, want %+v", got, chat.DefaultLimits())
	}
}

func TestGuests(t *testing.T) {
	for _, tt := range []struct {
		guests, listen string
		proxies        []string
		want           bool
	}{
		{"auto", "127.0.0.1:8080", nil, true},
		{"auto", "localhost:0", nil, true},
		{"auto", "[::1]:8080", nil, true},
		{"auto", "127.0.0.1:8080", []string{"127.0.0.1"}, false},
		{"auto", ":8080", nil, false},
		{"auto", "0.0.0.0:8080", nil, false},
		{"auto", "127.0.0.1.example.org:8080", nil, false},
		{"on", "0.0.0.0:8080", nil, true},
		{"off", "127.0.0.1:8080", nil, false},
	} {
		c := Default()
		c.Guests, c.Listen, c.TrustedProxies = tt.guests, tt.listen, tt.proxies
		if got := c.GuestsWelcome(); got != tt.want {
			t.Errorf("guests %s on %s behind %v: %v, want %v", tt.guests, tt.listen, tt.proxies, got, tt.want)
		}
	}
	for _, auth := range []Auth{{JWKSURL: "https://www.example.org/jwks"}, {Keys: []AuthKey{{Alg: "EdDSA"}}}} {
		c := Default()
		if c.Auth = auth; c.GuestsWelcome() {
			t.Errorf("guests beside the users of %+v", auth)
		}
		c.Guests = "on"
		if all := strings.Join(c.Warnings(), "\n"); !c.GuestsWelcome() || !strings.Contains(all, "can take their names") {
			t.Errorf("guests that were asked for beside %+v: %v, %s", auth, c.GuestsWelcome(), all)
		}
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	short, long := filepath.Join(dir, "short"), filepath.Join(dir, "long")
	for path, n := range map[string]int{short: 31, long: 32} {
		if err := os.WriteFile(path, bytes.Repeat([]byte("s"), n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		set  func(*Config)
		want string // "" for sound, else "where: " and words of the text
	}{
		{"node", func(c *Config) { c.Node = "roomtide-1_b" }, ""},
		{"no node", func(c *Config) { c.Node = "" }, `node: "" is not a name: .*1 to 63`},
		{"a host as node", func(c *Config) { c.Node = "a.example" }, `node: "a.example" is not a name: .*letters, digits`},
		{"plain HTTP in the open", func(c *Config) { c.Listen = ":8080" }, "listen: .*--insecure-http"},
		{"meant", func(c *Config) { c.Listen, c.InsecureHTTP = ":8080", true }, ""},
		{"no port", func(c *Config) { c.Listen = "localhost" }, "listen: .*not an address"},
		{"half a certificate", func(c *Config) { c.TLS.Cert = "x" }, "tls: only one"},
		{"no such certificate", func(c *Config) { c.TLS = TLS{"/nowhere/c", "/nowhere/k"} }, "tls: .*no such file"},
		{"guests", func(c *Config) { c.Guests = "yes" }, "guests: .*auto, on, off"},
		{"socketio_recovery", func(c *Config) { c.SocketIORecovery = "yes" }, "socketio_recovery: .*auto, on, off"},
		{"level", func(c *Config) { c.Log.Level = "loud" }, "log.level: "},
		{"format", func(c *Config) { c.Log.Format = "xml" }, "log.format: "},
		{"origin with a path", func(c *Config) { c.Origins = []string{"https://a.example/"} }, "origins: "},
		{"pattern of origins", func(c *Config) { c.Origins = []string{"https://*.example.org"} }, "patterns are not known"},
		{"origins of apps", func(c *Config) { c.Origins = []string{"capacitor://localhost", "chrome-extension://abcdef"} }, ""},
		{"origins", func(c *Config) { c.Origins = []string{"https://a.example:8443", "*"} }, ""},
		{"proxy", func(c *Config) { c.TrustedProxies = []string{"proxy"} }, "trusted_proxies: "},
		{"proxies", func(c *Config) { c.TrustedProxies = []string{"10.0.0.0/8", "::1"} }, ""},
		{"pprof in the open", func(c *Config) { c.Pprof = ":6060" }, "pprof: "},
		{"no shards", func(c *Config) { c.SQLiteShards = 0 }, "sqlite_shards: "},
		{"too many shards", func(c *Config) { c.SQLiteShards = 65 }, "sqlite_shards: "},
		{"no rate", func(c *Config) { c.Rates.Joins = 0 }, "rates.joins: "},
		{"slow rate", func(c *Config) { c.Rates.Joins = 0.1 }, ""},
		{"offline at once", func(c *Config) { c.Hooks.OfflineAfter = 0 }, "webhooks.offline_after: "},
		{"offline never", func(c *Config) { c.Hooks.OfflineAfter = Duration(2 * 3600 * 1e9) }, "webhooks.offline_after: "},
		{"negative timeout", func(c *Config) { c.DrainTimeout = -1 }, "drain_timeout: "},
		{"small frames", func(c *Config) { c.Limits.FrameBytes = 1000 }, "limits.frame_bytes: "},
		{"keys over plain HTTP", func(c *Config) { c.Auth.JWKSURL = "http://id.example/jwks" }, "auth.jwks_url: "},
		{"keys from loopback", func(c *Config) { c.Auth.JWKSURL = "http://127.0.0.1:9/jwks" }, ""},
		{"unknown algorithm", func(c *Config) { c.Auth.Keys = []AuthKey{{KID: "a", Alg: "none"}} }, `auth.keys\[0\]: "none" is no algorithm`},
		{"two of a kind", func(c *Config) {
			c.Auth.Keys = []AuthKey{{KID: "a", Alg: "HS256", SecretFile: long}, {KID: "a", Alg: "HS256", SecretFile: long}}
		}, `auth.keys\[1\]: kid "a" is used twice`},
		{"secret", func(c *Config) { c.Auth.Keys = []AuthKey{{Alg: "HS256", SecretFile: long}} }, ""},
		{"short secret", func(c *Config) { c.Auth.Keys = []AuthKey{{KID: "a", Alg: "HS256", SecretFile: short}} }, "shorter than 32"},
		{"public key as secret", func(c *Config) { c.Auth.Keys = []AuthKey{{KID: "a", Alg: "HS256", PublicKeyFile: short}} }, "needs secret_file"},
		{"secret as public key", func(c *Config) { c.Auth.Keys = []AuthKey{{KID: "a", Alg: "RS256", SecretFile: short}} }, "needs public_key_file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			tt.set(c)
			ps := c.Check()
			switch {
			case tt.want == "" && ps != nil:
				t.Error(ps)
			case tt.want != "" && (len(ps) != 1 || !regexp.MustCompile(tt.want).MatchString(ps.Error())):
				t.Errorf("problems %v, want one like %q", ps, tt.want)
			}
		})
	}
}

func TestCheckTellsEverything(t *testing.T) {
	c := Default()
	c.Listen, c.Guests, c.SQLiteShards, c.Log.Level = "x", "x", -1, "x"
	if ps := c.Check(); len(ps) != 4 {
		t.Errorf("%d problems, want 4:\n%v", len(ps), ps)
	}
}

// Keys of an identity provider sign tokens for every application it serves.
func TestJWKSWithoutAudience(t *testing.T) {
	for _, tt := range []struct {
		auth Auth
		want bool
	}{
		{Auth{JWKSURL: "https://id.example.org/keys"}, true},
		{Auth{JWKSURL: "https://id.example.org/keys", Issuer: "https://id.example.org"}, true},
		{Auth{JWKSURL: "https://id.example.org/keys", Audience: "chat"}, false},
		{Auth{Keys: []AuthKey{{Alg: "HS256"}}}, false},
	} {
		c := Default()
		c.Auth = tt.auth
		if got := strings.Contains(strings.Join(c.Warnings(), "\n"), "without auth.audience"); got != tt.want {
			t.Errorf("%+v: warned %v", tt.auth, got)
		}
	}
}

func TestWarnings(t *testing.T) {
	c, err := load(t, "", []string{"ROOMTIDE_GUEST=off", "ROOMTIDE_TOKEN=x"}, func(c *Config) {
		c.Listen, c.InsecureHTTP, c.Guests, c.NoRateLimits, c.MetricsPublic = ":80", true, "on", true, true
	}, "listen", "insecure-http", "guests", "no-rate-limits", "metrics-public")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(c.Warnings(), "\n")
	for _, want := range []string{"guests are welcome on :80", "plain HTTP", "rate limits are off", "/metrics", "mean nothing here: ROOMTIDE_GUEST"} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning of %q in:\n%s", want, all)
		}
	}
	if strings.Contains(all, "ROOMTIDE_TOKEN") {
		t.Error("a variable of the client verbs is warned of")
	}
}

// The file that the first start writes, with every # taken away, is every
// setting at its default.
func TestWriteTOML(t *testing.T) {
	var b bytes.Buffer
	if err := WriteTOML(&b); err != nil {
		t.Fatal(err)
	}
	commented := &Config{origin: map[string]string{}}
	if err := decode("f", b.Bytes(), commented); err != nil || !reflect.DeepEqual(commented, &Config{origin: map[string]string{}}) {
		t.Fatalf("the file changes something as it is: %v", err)
	}
	active := regexp.MustCompile(`(?m)^#([a-z\[])`).ReplaceAll(b.Bytes(), []byte("$1"))
	c := &Config{origin: map[string]string{}}
	if err := decode("f", active, c); err != nil {
		t.Fatalf("%v in:\n%s", err, active)
	}
	if len(c.Auth.Keys) != 1 {
		t.Errorf("%d auth.keys, want the one example", len(c.Auth.Keys))
	}
	if len(c.Shards) != 1 || c.Shards[0] != (Shard{}) {
		t.Errorf("shards %v, want the one example", c.Shards)
	}
	c.Shards = nil
	def := Default().Settings()
	for i, s := range c.Settings() {
		if s.toml() != def[i].toml() {
			t.Errorf("%s = %s, want %s", s.Key, s.toml(), def[i].toml())
		}
	}
}

func TestCreateFile(t *testing.T) {
	c, err := load(t, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if made, err := c.CreateFile(); !made || err != nil {
		t.Fatal(made, err)
	}
	if err := os.WriteFile(c.File(), []byte("sqlite_shards = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if made, err := c.CreateFile(); made || err != nil {
		t.Fatalf("second start: %v %v", made, err)
	}
	again, err := Load(Args{}, []string{"ROOMTIDE_DATA_DIR=" + filepath.Dir(c.File())})
	if err != nil || again.SQLiteShards != 2 {
		t.Errorf("the file was not read again: %v %v", again, err)
	}
}

func TestPrint(t *testing.T) {
	c, err := load(t, "", []string{"ROOMTIDE_AUTH_JWKS_URL=https://me:hunter2@id.example/k?token=hunter2"}, func(c *Config) { c.SQLiteShards = 7 }, "sqlite-shards")
	if err != nil {
		t.Fatal(err)
	}
	c.Auth.Keys = []AuthKey{{KID: "app \"1\"", Alg: "HS256", SecretFile: "/s"}}
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	if strings.Contains(out, "hunter2") {
		t.Error("a secret is shown")
	}
	if !regexp.MustCompile(`(?m)^sqlite_shards = 7 +# --sqlite-shards$`).MatchString(out) {
		t.Errorf("no shards with its source in:\n%s", out)
	}
	var back Config
	if err := decode("out", b.Bytes(), &back); err != nil || back.SQLiteShards != 7 || back.Auth.Keys[0].KID != c.Auth.Keys[0].KID {
		t.Errorf("what is printed cannot be read: %v\n%s", err, out)
	}
}

// The command line gives every setting the flag that Settings says it has.
func TestFlags(t *testing.T) {
	var c Config
	k, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	var have, want []string
	for _, f := range k.Model.Flags[1:] { // the first is --help
		have = append(have, f.Name)
	}
	for _, s := range c.Settings() {
		want = append(want, s.Flag())
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("flags\n%v, want\n%v", have, want)
	}
	if _, err := k.Parse([]string{"--drain-timeout=5m", "--origins=https://a.example,https://b.example", "--no-rate-limits", "--auth-jwks-url=https://x"}); err != nil {
		t.Fatal(err)
	}
	if c.DrainTimeout.String() != "5m0s" || len(c.Origins) != 2 || !c.NoRateLimits || c.Auth.JWKSURL != "https://x" {
		t.Errorf("%+v", c)
	}
}

func TestDocIsUpToDate(t *testing.T) {
	var b bytes.Buffer
	if err := Doc(&b); err != nil {
		t.Fatal(err)
	}
	const path = "../docs/configuration.md"
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(have, b.Bytes()) {
		t.Errorf("docs/configuration.md is not what the settings say (%v): run make generate", err)
	}
}

// What documents print as settings can be copied: every key exists, and every value has
// the type that it takes.
func TestDocumentsPrintSettings(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("(?ms)^ *```toml\n(.*?)^ *```$").FindAllStringSubmatch(string(text), -1) {
			if strings.HasPrefix(m[1], "[source]") || strings.Contains(m[1], "[[user]]") {
				continue // a mapping of another chat
			}
			blocks++
			if err := decode(filepath.Base(file), []byte(m[1]), Default()); err != nil {
				t.Errorf("%v in\n%s", err, m[1])
			}
		}
	}
	if blocks < 15 {
		t.Errorf("only %d blocks were looked at", blocks)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("sqlite_shards = 3\n[tls]\ncert = 'x'\n")
	f.Add("[[auth.keys]]\nkid = 'a'\n")
	f.Add("drain_timeout = '1h'\n[limits]\nemojis = -1")
	f.Add("x = 1")
	f.Add("shards = ['mysql://a:b@c/d', '']\ncontrol = 'x:y'")
	f.Add("[[shards]]\nname = 'a'\ndsn = 'postgres://a@b/c?prefix=d_'\n[[shards]]\ndsn = 'sqlite:a.db'")
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		if decode("f", []byte(text), c) != nil {
			return
		}
		// What was accepted can be judged and printed, and what was printed read.
		c.Auth.Keys = nil // Check would open the files they name
		c.TLS = TLS{}
		for i := range c.Shards {
			c.Shards[i].PasswordFile = ""
		}
		c.Check()
		var b bytes.Buffer
		if err := c.Print(&b); err != nil {
			t.Fatal(err)
		}
		back := Default()
		if err := decode("out", b.Bytes(), back); err != nil {
			t.Fatalf("%v in:\n%s", err, b.String())
		}
	})
}
