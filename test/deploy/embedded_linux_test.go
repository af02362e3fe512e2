package deploy

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	apps "k8s.io/api/apps/v1"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/testcert"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/internal/testredis"
)

var password = strings.Repeat("0123456789abcdef", 4)

// member is a process of a cluster with NATS inside, as a file for containers has it.
type member struct {
	name  string // under which others find it
	verb  string // serve or witness
	env   []string
	grace time.Duration // to stop in

	tls       bool // its NATS server speaks TLS
	dir, host string
	node      *testprocess.Node    // of serve
	witness   *testprocess.Process // of witness
}

// composed are the members of the compose file with more files on top of it.
func composed(t *testing.T, more ...string) (all []*member) {
	t.Helper()
	p := mustProject(t, filled(t, "mysql"), more...)
	for _, name := range nodes {
		s := p.Services[name]
		verb := append(slices.Clone(s.Command), "serve")[0] // the image's own
		all = append(all, &member{name: name, verb: verb, env: values(s.Environment), grace: time.Duration(*s.StopGracePeriod)})
		for needed := range s.DependsOn {
			if strings.HasPrefix(needed, "nats-") {
				t.Errorf("%s waits for %s", name, needed)
			}
		}
	}
	checkKeys(t, p, all)
	for name := range p.Services {
		if strings.HasPrefix(name, "nats-") {
			t.Errorf("%s runs beside NATS servers inside the nodes", name)
		}
	}
	return all
}

// checkKeys looks whether the nodes are given the key for tokens, and the witness is not.
func checkKeys(t *testing.T, p *types.Project, all []*member) {
	t.Helper()
	given := map[string]bool{}
	for _, v := range p.Services["keys"].Volumes {
		given[v.Source] = true
	}
	for _, m := range all {
		if volume := p.Services[m.name].Volumes[0].Source; given[volume] != (m.verb == "serve") {
			t.Errorf("%s, which runs %s, is given the key for tokens: %v", m.name, m.verb, given[volume])
		}
	}
}

// podsOf are the members of what the chart makes, each of which has a volume of its own.
func podsOf(t *testing.T, text string) (all []*member) {
	t.Helper()
	shards := fmt.Sprintf("mysql://chat:%[1]s@database/chat?prefix=s1_ mysql://chat:%[1]s@database/chat?prefix=s2_", password)
	secret := map[string]string{"shards": shards, "redis": "redis://default:" + password + "@redis:6379/0", "natsPassword": password}
	found := decode(t, text)
	for _, name := range []string{"roomtide", "roomtide-witness"} {
		set, ok := found["StatefulSet "+name].(*apps.StatefulSet)
		if !ok {
			continue // three nodes have no witness
		}
		pod := set.Spec.Template.Spec
		c := pod.Containers[0]
		if len(set.Spec.VolumeClaimTemplates) != 1 || c.VolumeMounts[0].Name != set.Spec.VolumeClaimTemplates[0].Name {
			t.Errorf("%s: the queue is lost with the pod", name)
		}
		for i := range *set.Spec.Replicas {
			own := fmt.Sprintf("%s-%d", name, i)
			all = append(all, &member{
				name: own + "." + set.Spec.ServiceName, verb: c.Args[0], env: environment(&c, own, secret),
				grace: time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second,
			})
		}
	}
	return all
}

// around is what the members of a cluster have around them, in place of what the files name.
type around struct {
	members    []*member
	dsn, redis string
	key        string // file with the key for tokens
	tls        string // directory with the certificate of all members
}

// here gives each member an address of its own, on which it keeps its ports.
func (a *around) here(t *testing.T) {
	t.Helper()
	pid := os.Getpid()
	for i, m := range a.members {
		if m.dir == "" {
			m.dir = t.TempDir()
		}
		m.host = fmt.Sprintf("127.%d.%d.%d", 64+i, pid>>8&0xff, pid&0xff|1)
		if m.verb != "serve" {
			continue
		}
		write(t, filepath.Join(m.dir, "token.key"), password)
		if err := os.Chmod(filepath.Join(m.dir, "token.key"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.key = filepath.Join(a.members[0].dir, "token.key")
	a.certify(t)
	for _, m := range a.members {
		for i, kv := range m.env {
			m.env[i] = a.setting(m, kv)
		}
		m.env = append(m.env, "ROOMTIDE_DATA_DIR="+m.dir)
	}
}

// certify gives all members a certificate, in files of the names that compose.tls.yaml and
// the Secret have.
func (a *around) certify(t *testing.T) {
	t.Helper()
	var hosts []string
	for _, m := range a.members {
		hosts = append(hosts, m.host)
	}
	a.tls = t.TempDir()
	files := testcert.New(t).Issue(a.tls, hosts...)
	for name, file := range map[string]string{"ca.pem": files.CA, "ca.crt": files.CA, "tls.crt": files.Cert, "tls.key": files.Key} {
		if err := os.Symlink(file, filepath.Join(a.tls, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// setting is a variable of a member's environment as it has to be here.
func (a *around) setting(m *member, kv string) string {
	name, text, _ := strings.Cut(kv, "=")
	switch name {
	case "ROOMTIDE_SHARD":
		text = regexp.MustCompile(`\w+://chat:\w+@database/chat`).ReplaceAllLiteralString(text, a.dsn)
	case "ROOMTIDE_REDIS":
		text = strings.Replace(text, "redis:6379", a.redis, 1)
	case "ROOMTIDE_TOKEN_KEY_FILE":
		text = a.key
	case "ROOMTIDE_NATS_TLS_CA", "ROOMTIDE_NATS_TLS_CERT", "ROOMTIDE_NATS_TLS_KEY":
		m.tls, text = true, filepath.Join(a.tls, filepath.Base(text))
	}
	text = regexp.MustCompile(`\b0\.0\.0\.0:`).ReplaceAllString(text, m.host+":")
	for _, other := range a.members {
		text = regexp.MustCompile(`\b`+regexp.QuoteMeta(other.name)+`:(\d)`).ReplaceAllString(text, other.host+":$1")
	}
	return name + "=" + text
}

func (m *member) start(t *testing.T) {
	t.Helper()
	if m.verb == "serve" {
		m.node = roomtide.Start(t, m.dir, m.host+":8080", m.env...)
		return
	}
	cmd := exec.CommandContext(t.Context(), roomtide.Path, m.verb)
	cmd.Env = append(os.Environ(), m.env...)
	m.witness = testprocess.Spawn(t, cmd)
}

// stop ends a member as its container is ended.
func (m *member) stop(t *testing.T) {
	t.Helper()
	if m.node == nil {
		m.witness.Terminate()
	} else if code := m.node.Terminate(m.grace); code != 0 {
		t.Errorf("%s ends with %d", m.name, code)
	}
}

// checkMember looks at a member's settings as the program does.
func checkMember(t *testing.T, m *member) {
	t.Helper()
	if m.verb == "serve" {
		cfg := checkSettings(t, m.name, m.env)
		if cfg.NATS.Insecure == m.tls {
			t.Errorf("%s: TLS %v, and plain routes allowed: %v", m.name, m.tls, cfg.NATS.Insecure)
		}
		if cfg.Queue.Mode != config.QueueOverflow || !cfg.NATS.Embedded {
			t.Errorf("%s: queue.mode %q, nats.embedded %v", m.name, cfg.Queue.Mode, cfg.NATS.Embedded)
		}
		return
	}
	for _, kv := range m.env {
		if name, _, _ := strings.Cut(kv, "="); slices.Contains([]string{"ROOMTIDE_SHARD", "ROOMTIDE_REDIS", "ROOMTIDE_TOKEN_KEY_FILE"}, name) {
			t.Errorf("%s, which has no use for it, has %s", m.name, name)
		}
	}
	cfg, err := config.Load(config.Args{}, m.env)
	if err != nil {
		t.Fatal(err)
	}
	cfg.NATS.Embedded = true // as the verb does
	if problems := cfg.CheckWitness(); problems != nil {
		t.Errorf("%s: %v", m.name, problems)
	}
}

// whole waits until all servers have all of the queue, as every node tells.
func (a *around) whole(t *testing.T) {
	t.Helper()
	for _, m := range a.members {
		if m.node != nil {
			m.node.Ready()
			until(t, m.name+": a queue on three servers", func() bool { return metric(m.host, "roomtide_queue_replicas_current 3") })
		}
	}
}

// metric reports whether a node shows a line.
func metric(host, line string) bool {
	resp, err := http.Get("http://" + host + ":9090/metrics")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return err == nil && strings.Contains(string(text), "\n"+line+"\n")
}

// checkRules looks whether a node has the metrics that alerts on NATS inside nodes are about.
func checkRules(t *testing.T, host string) {
	t.Helper()
	names := regexp.MustCompile(`roomtide_(embedded|queue)_\w+`).FindAllString(readFile(t, "deploy/prometheus/roomtide.rules.yml"), -1)
	if len(names) < 3 {
		t.Errorf("alerts are about %v", names)
	}
	for _, name := range names {
		if !metric(host, "# TYPE "+name+" gauge") {
			t.Errorf("%s, which an alert is about, is no metric of a node", name)
		}
	}
}

// talk sends a message from one of the nodes that run to another one, or to itself if there
// is no other.
func (a *around) talk(t *testing.T, without *member) {
	t.Helper()
	var run []*member
	for _, m := range a.members {
		if m.node != nil && m != without {
			run = append(run, m)
		}
	}
	from, to := run[0], run[len(run)-1]
	ann, bob := dial(t, from.host+":8080", from.dir, "ann"), dial(t, to.host+":8080", to.dir, "bob")
	defer ann.Close()
	defer bob.Close()
	talk(t, ann, bob, fmt.Sprintf("at %v", time.Now()))
}

// Clusters with NATS inside of the nodes run as the files describe them: three nodes, and
// two with a witness. Each member in turn is stopped and started, and people talk.
func TestEmbedded(t *testing.T) {
	server := testdb.Start(t, testdb.Maria)
	for name, members := range map[string]func(*testing.T) []*member{
		"compose":            func(t *testing.T) []*member { return composed(t, "compose.embedded.yaml") },
		"compose, a witness": func(t *testing.T) []*member { return composed(t, "compose.embedded.yaml", "compose.witness.yaml") },
		"compose, a witness, TLS": func(t *testing.T) []*member {
			return composed(t, "compose.embedded.yaml", "compose.witness.yaml", "compose.tls.yaml")
		},
		embedded: func(t *testing.T) []*member { return podsOf(t, readFile(t, embedded)) },
		witness:  func(t *testing.T) []*member { return podsOf(t, readFile(t, witness)) },
		"chart, TLS": func(t *testing.T) []*member {
			return podsOf(t, mustHelm(t, "existingSecret=roomtide", "nats.embedded=true", "nats.tlsSecret=roomtide-nats"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := &around{members: members(t), dsn: server.Database(), redis: testredis.Start(t, "--requirepass", password).Addr}
			a.here(t)
			for _, m := range a.members {
				checkMember(t, m)
				m.start(t)
			}
			a.whole(t)
			checkRules(t, a.members[0].host)
			a.talk(t, nil)
			for _, m := range a.members {
				m.stop(t)
				a.talk(t, m)
				m.start(t)
				a.whole(t)
			}
		})
	}
}
