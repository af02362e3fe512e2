package deploy

import (
	stdcontext "context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/internal/testredis"
)

const patience = 60 * time.Second

// stack is what the compose file describes, without containers: the same programs with
// the same settings and files. Each service has a loopback address of its own, so that it
// keeps its ports, and names of services are replaced by addresses.
type stack struct {
	t     *testing.T
	p     *types.Project
	hosts map[string]string // service -> address
	dirs  map[string]string // volume -> directory
	nodes map[string]*testprocess.Node
	redis *testredis.Server
	dsn   string // of the database, in place of the one of the file
}

// newStack gives addresses to services. They belong to this process, as those of
// testprocess.FreeAddr do, whose ports are others.
func newStack(t *testing.T, p *types.Project) *stack {
	s := &stack{t: t, p: p, hosts: map[string]string{}, dirs: map[string]string{}, nodes: map[string]*testprocess.Node{}}
	pid := os.Getpid()
	for i, name := range append(append([]string{"caddy"}, nodes...), "nats-1", "nats-2", "nats-3") {
		s.hosts[name] = fmt.Sprintf("127.%d.%d.%d", 64+i, pid>>8&0xff, pid&0xff|1)
	}
	for _, name := range []string{"nats-1", "nats-2", "nats-3", "node-1", "node-2", "node-3"} {
		s.dirs[name] = t.TempDir()
	}
	return s
}

// here replaces what a container would find otherwise: names of services, and the
// address that means all of its own.
func (s *stack) here(service, text string) string {
	text = strings.ReplaceAll(text, "0.0.0.0", s.hosts[service])
	for name, addr := range s.hosts {
		text = regexp.MustCompile(`\b`+name+`:(\d)`).ReplaceAllString(text, addr+":$1")
	}
	return text
}

// file writes a file that a service mounts, as it has to be here.
func (s *stack) file(service, target string) (path string) {
	s.t.Helper()
	for _, v := range s.p.Services[service].Volumes {
		if v.Target != target {
			continue
		}
		text, err := os.ReadFile(v.Source)
		if err != nil {
			s.t.Fatal(err)
		}
		path = filepath.Join(s.t.TempDir(), filepath.Base(target))
		here := strings.ReplaceAll(s.here(service, string(text)), "store_dir: /data", "store_dir: "+s.dirs[service])
		if err := os.WriteFile(path, []byte(here), 0o644); err != nil {
			s.t.Fatal(err)
		}
		return path
	}
	s.t.Fatalf("%s does not mount %s", service, target)
	return ""
}

// startNATS starts the server of a service inside this process.
func (s *stack) startNATS(service string) *server.Server {
	s.t.Helper()
	for name, value := range s.p.Services[service].Environment {
		s.t.Setenv(name, s.here(service, *value))
	}
	o, err := server.ProcessConfigFile(s.file(service, "/etc/nats/nats.conf"))
	if err != nil {
		s.t.Fatal(err)
	}
	if !o.JetStream || !o.SyncAlways || o.ServerName != service || len(o.Routes) != 3 || o.Password != *s.p.Services["roomtide-1"].Environment["ROOMTIDE_NATS_PASSWORD"] {
		s.t.Errorf("%s: JetStream %v, sync always %v, name %q, routes %v", service, o.JetStream, o.SyncAlways, o.ServerName, o.Routes)
	}
	o.NoLog, o.NoSigs = true, true
	r, err := server.NewServer(o)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Start()
	s.t.Cleanup(func() { r.Shutdown(); r.WaitForShutdown() })
	return r
}

// startDatabase starts the server with the settings that the file gives it.
func (s *stack) startDatabase(database string) {
	s.t.Helper()
	engine, settings := testdb.Postgres, []string(nil)
	if database == "mysql" {
		engine = testdb.Maria
		for _, m := range regexp.MustCompile(`(?m)^(\w+) = (\w+)$`).FindAllStringSubmatch(readFile(s.t, compose+"mariadb.cnf"), -1) {
			if m[1] != "innodb_buffer_pool_size" && m[1] != "innodb_log_file_size" { // memory and disk of this machine
				settings = append(settings, m[1]+"="+m[2])
			}
		}
	} else {
		command := s.p.Services["postgresql"].Command
		for i, word := range command {
			if word == "-c" && !strings.HasPrefix(command[i+1], "shared_buffers=") {
				settings = append(settings, command[i+1])
			}
		}
	}
	if len(settings) < 4 {
		s.t.Fatalf("the database has the settings %v", settings)
	}
	s.dsn = testdb.Start(s.t, engine, settings...).Database()
}

// prepareKeys runs what the service keys does.
func (s *stack) prepareKeys() {
	s.t.Helper()
	keys, all := s.p.Services["keys"], s.t.TempDir()
	for _, v := range keys.Volumes {
		if err := os.Symlink(s.dirs[v.Source], filepath.Join(all, filepath.Base(v.Target))); err != nil {
			s.t.Fatal(err)
		}
	}
	script := strings.NewReplacer("/nodes/", all+"/", "65532:65532", fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())).Replace(strings.ReplaceAll(keys.Command[0], "$$", "$"))
	cmd := exec.CommandContext(s.t.Context(), keys.Entrypoint[0], append(keys.Entrypoint[1:], script)...)
	cmd.Env = append(os.Environ(), values(keys.Environment)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("keys: %v\n%s", err, out)
	}
}

func (s *stack) startNode(service string) {
	s.t.Helper()
	var env []string
	for name, value := range s.p.Services[service].Environment {
		text := s.here(service, *value)
		switch name {
		case "ROOMTIDE_SHARD":
			text = regexp.MustCompile(`\w+://chat:\w+@database/chat`).ReplaceAllLiteralString(text, s.dsn)
		case "ROOMTIDE_REDIS":
			text = strings.Replace(text, "redis:6379", s.redis.Addr, 1)
		case "ROOMTIDE_TRUSTED_PROXIES":
			text = s.hosts["caddy"] + "/8"
		}
		env = append(env, name+"="+text)
	}
	volume := s.p.Services[service].Volumes[0].Source
	s.nodes[service] = roomtide.Start(s.t, s.dirs[volume], s.hosts[service]+":8080", env...)
}

// startProxy starts Caddy with its file, on plain HTTP.
func (s *stack) startProxy() (addr string) {
	s.t.Helper()
	addr = s.hosts["caddy"] + ":8080"
	file := s.file("caddy", "/etc/caddy/Caddyfile")
	text, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	write(s.t, file, "{\n\tadmin off\n\tauto_https off\n\tdefault_bind "+s.hosts["caddy"]+"\n}\n"+string(text))
	cmd := exec.Command(program(s.t, "caddy"), "run", "--adapter", "caddyfile", "--config", file)
	home := s.t.TempDir()
	cmd.Env = append(os.Environ(), "SITE_ADDRESS=http://"+addr, "NODES="+s.here("caddy", *s.p.Services["caddy"].Environment["NODES"]), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended
		_ = cmd.Wait()
		if s.t.Failed() {
			s.t.Logf("caddy wrote:\n%s", out.String())
		}
	})
	return addr
}

// until polls until something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func status(url string) int {
	c := http.Client{Timeout: 5 * time.Second}
	resp, err := c.Get(url)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// start starts everything, in the order of depends_on.
func (s *stack) start(database string) (addr string) {
	s.t.Helper()
	servers := make([]*server.Server, 0, 3)
	for _, name := range []string{"nats-1", "nats-2", "nats-3"} {
		servers = append(servers, s.startNATS(name))
	}
	s.startDatabase(database)
	redis := s.p.Services["redis"].Command
	s.redis = testredis.Start(s.t, redis[1:]...)
	s.prepareKeys()
	for _, name := range []string{"nats-1", "nats-2", "nats-3"} { // what makes them healthy
		check := s.p.Services[name].HealthCheck.Test
		until(s.t, name, func() bool {
			return status(s.here(name, strings.Replace(check[len(check)-1], "127.0.0.1", s.hosts[name], 1))) == http.StatusOK
		})
	}
	until(s.t, "a leader of JetStream", func() bool {
		return servers[0].JetStreamIsLeader() || servers[1].JetStreamIsLeader() || servers[2].JetStreamIsLeader()
	})
	for _, name := range nodes {
		s.startNode(name)
	}
	for _, name := range nodes {
		s.nodes[name].Ready()
	}
	addr = s.startProxy()
	until(s.t, "the proxy", func() bool { return status("http://"+addr+"/readyz") == http.StatusOK })
	return addr
}

// dial connects a user, whose token is signed with the key in a data directory.
func dial(t *testing.T, addr, dir, user string) *client.Client {
	t.Helper()
	token, errs, err := roomtide.Run(t.Context(), "token", "make", "--user", user, "--room", "lobby", "--data-dir", dir)
	if err != nil {
		t.Fatal(err, errs)
	}
	c, err := client.Dial(t.Context(), client.Options{URL: "http://" + addr, Token: func(stdcontext.Context) (string, error) { return strings.TrimSpace(token), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if _, err := c.Join(t.Context(), "lobby", client.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	return c
}

// The stack of the compose file works, on both databases: a message goes through the
// proxy from one client to the others, also while each node in turn is stopped and
// started as an upgrade does it.
func TestComposeStack(t *testing.T) {
	for _, database := range []string{"mysql", "postgres"} {
		t.Run(database, func(t *testing.T) {
			s := newStack(t, mustProject(t, filled(t, database)))
			addr := s.start(database)
			ann, bob := dial(t, addr, s.dirs["node-1"], "ann"), dial(t, addr, s.dirs["node-1"], "bob")
			talk(t, ann, bob, "hello")
			checkScraped(t, s)
			for i, name := range nodes {
				grace := time.Duration(*s.p.Services[name].StopGracePeriod)
				if code := s.nodes[name].Terminate(grace); code != 0 {
					t.Errorf("%s ends with %d", name, code)
				}
				talk(t, ann, bob, "without "+strconv.Itoa(i))
				s.startNode(name)
				s.nodes[name].Ready()
			}
			talk(t, bob, ann, "again")
			for _, name := range nodes {
				if log := s.nodes[name].Stderr(); strings.Contains(log, "can be lost") || strings.Contains(log, "redis:") {
					t.Errorf("%s wrote:\n%s", name, log)
				}
			}
		})
	}
}

// talk sends a message and waits until the other has it.
func talk(t *testing.T, from, to *client.Client, text string) {
	t.Helper()
	ctx, cancel := stdcontext.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := from.Send(ctx, "lobby", chat.Draft{Text: text}); err != nil {
		t.Fatal(text, err)
	}
	for {
		select {
		case ev, ok := <-to.Events():
			if !ok {
				t.Fatalf("%s: the client has ended", text)
			}
			if ev.Message != nil && ev.Message.Text == text {
				return
			}
		case <-ctx.Done():
			t.Fatalf("%s: it does not arrive", text)
		}
	}
}

// checkScraped compares the targets of Prometheus with what the nodes serve.
func checkScraped(t *testing.T, s *stack) {
	t.Helper()
	targets := regexp.MustCompile(`roomtide-\d:\d+`).FindAllString(readFile(t, "deploy/prometheus/prometheus.yml"), -1)
	if len(targets) != len(nodes) {
		t.Errorf("prometheus.yml has the targets %v", targets)
	}
	for _, target := range targets {
		host, port, err := net.SplitHostPort(target)
		if err != nil {
			t.Fatal(err)
		}
		if got := status("http://" + net.JoinHostPort(s.hosts[host], port) + "/metrics"); got != http.StatusOK {
			t.Errorf("%s answers %d", target, got)
		}
	}
}
