package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/roomtide/roomtide/config"
)

const (
	compose = "deploy/compose/"
	chart   = "deploy/helm/roomtide/"
)

var nodes = []string{"roomtide-1", "roomtide-2", "roomtide-3"}

// filled returns env.sample as an operator fills it in.
func filled(t *testing.T, database string) map[string]string {
	t.Helper()
	env, err := dotenv.Read(filepath.Join(root, compose, "env.sample"))
	if err != nil {
		t.Fatal(err)
	}
	env["SITE"], env["DATABASE"], env["COMPOSE_PROFILES"] = "chat.example.org", database, database+",monitoring"
	for name := range env {
		if strings.HasSuffix(name, "_PASSWORD") || name == "TOKEN_KEY" {
			env[name] = strings.Repeat("0123456789abcdef", 4)
		}
	}
	return env
}

// project loads the compose file with more files on top of it, each of which is checked against the schema of Compose.
func project(t *testing.T, env map[string]string, more ...string) (*types.Project, error) {
	t.Helper()
	files := []string{filepath.Join(root, compose, "compose.yaml")}
	for _, file := range more {
		files = append(files, filepath.Join(root, compose, file))
	}
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	o, err := cli.NewProjectOptions(files,
		cli.WithEnv(list), cli.WithDefaultProfiles(strings.Split(env["COMPOSE_PROFILES"], ",")...))
	if err != nil {
		t.Fatal(err)
	}
	return o.LoadProject(t.Context())
}

func mustProject(t *testing.T, env map[string]string, more ...string) *types.Project {
	t.Helper()
	p, err := project(t, env, more...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func values(m types.MappingWithEquals) (env []string) {
	for name, value := range m {
		if value != nil {
			env = append(env, name+"="+*value)
		}
	}
	return env
}

// The sample has no secret, names every variable of the compose file that has no
// default, and nothing starts while one that has to be set is empty.
func TestComposeStartsWithNothingEmpty(t *testing.T) {
	sample, err := dotenv.Read(filepath.Join(root, compose, "env.sample"))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range sample {
		if value != "" && name != "DATABASE" && name != "COMPOSE_PROFILES" {
			t.Errorf("env.sample gives %s the value %q, which everybody would have", name, value)
		}
		env := filled(t, "mysql")
		env[name] = ""
		switch _, err := project(t, env); {
		case slices.Contains([]string{"ORIGINS", "COMPOSE_PROFILES", "WEBPUSH_SUBJECT", "WEBPUSH_KEY"}, name):
			if err != nil {
				t.Errorf("without %s: %v", name, err)
			}
		case err == nil || !strings.Contains(err.Error(), name):
			t.Errorf("an empty %s is answered with: %v", name, err)
		}
	}
	for _, m := range regexp.MustCompile(`[^$]\$\{(\w+)(:-)?`).FindAllStringSubmatch(readFile(t, compose+"compose.yaml"), -1) {
		if _, ok := sample[m[1]]; !ok && m[2] == "" {
			t.Errorf("env.sample does not name %s", m[1])
		}
	}
}

// The settings of the nodes exist, are sound, and are told no warning that an operator
// would have to act on.
func TestComposeSettings(t *testing.T) {
	for _, database := range []string{"mysql", "postgres"} {
		p := mustProject(t, filled(t, database))
		names := map[string]bool{}
		for _, name := range nodes {
			s := p.Services[name]
			checkSettings(t, database+" "+name, append(values(s.Environment), "ROOMTIDE_DATA_DIR="+t.TempDir()))
			names[*s.Environment["ROOMTIDE_NODE"]] = true
			if profiled := p.Services[map[string]string{"mysql": "mariadb", "postgres": "postgresql"}[database]]; len(profiled.Image) == 0 {
				t.Errorf("%s: the database is not started", database)
			}
		}
		if len(names) != len(nodes) {
			t.Errorf("the nodes have the names %v", names)
		}
	}
}

// checkSettings loads an environment as a node does.
func checkSettings(t *testing.T, what string, env []string) *config.Config {
	t.Helper()
	cfg, err := config.Load(config.Args{}, env)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return config.Default()
	}
	if problems := cfg.Check(); problems != nil {
		t.Errorf("%s: %v", what, problems)
	}
	for _, w := range cfg.Warnings() {
		// Inside of a network of containers, which a proxy with TLS leads into.
		if !strings.Contains(w, "plain HTTP on 0.0.0.0:") && !strings.Contains(w, "without TLS on 0.0.0.0:6222") && !strings.Contains(w, "metrics are served on 0.0.0.0:") {
			t.Errorf("%s: %s", what, w)
		}
	}
	if !cfg.RequireDurable || cfg.GuestsWelcome() || !cfg.Cluster() {
		t.Errorf("%s: require_durable %v, guests %v, cluster %v", what, cfg.RequireDurable, cfg.GuestsWelcome(), cfg.Cluster())
	}
	return cfg
}

// drainBound is for how long a node may stop: the drain, and then what Close still waits for.
func drainBound(cfg *config.Config) time.Duration { return 2 * time.Duration(cfg.DrainTimeout) }

// Containers cannot do more than they have to, have time to stop, and files that exist.
func TestComposeContainers(t *testing.T) {
	for _, database := range []string{"mysql", "postgres"} {
		p := mustProject(t, filled(t, database))
		for name, s := range p.Services {
			if tag := s.Image[strings.LastIndex(s.Image, ":")+1:]; tag == s.Image || tag == "latest" {
				t.Errorf("%s: the image %s has no version", name, s.Image)
			}
			if s.Privileged || s.NetworkMode == "host" || slices.Contains(s.CapAdd, "ALL") {
				t.Errorf("%s may do everything", name)
			}
			for _, v := range s.Volumes {
				if v.Type == types.VolumeTypeBind && !v.ReadOnly {
					t.Errorf("%s can write %s", name, v.Source)
				}
				if _, err := os.Stat(v.Source); v.Type == types.VolumeTypeBind && err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			for _, port := range s.Ports {
				if name != "caddy" && port.HostIP != "127.0.0.1" {
					t.Errorf("%s is open to the world on port %s", name, port.Published)
				}
			}
		}
		for _, name := range nodes {
			s := p.Services[name]
			if !s.ReadOnly || s.User != "65532:65532" || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Errorf("%s: read_only %v, user %q, cap_drop %v, security_opt %v", name, s.ReadOnly, s.User, s.CapDrop, s.SecurityOpt)
			}
			if least := drainBound(config.Default()) + 10*time.Second; s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < least {
				t.Errorf("%s: stop_grace_period %v, want %v", name, s.StopGracePeriod, least)
			}
			if len(s.Volumes) != 1 || s.Volumes[0].Target != "/var/lib/roomtide" {
				t.Errorf("%s has the volumes %v", name, s.Volumes)
			}
		}
	}
}

// What is deployed is what was tested.
func TestImagesAreTheTestedVersions(t *testing.T) {
	server := regexp.MustCompile(`nats-server/v2 v(\S+)`).FindStringSubmatch(readFile(t, "go.mod"))[1]
	want := fmt.Sprintf("nats:%s-alpine", server)
	for file, text := range map[string]string{"compose.yaml": readFile(t, compose+"compose.yaml"), "values.yaml": readFile(t, chart+"values.yaml")} {
		found := regexp.MustCompile(`\bnats:\d\S*`).FindAllString(text, -1)
		if len(found) == 0 || slices.ContainsFunc(found, func(s string) bool { return s != want }) {
			t.Errorf("%s has the images %v, and tests run %s", file, found, want)
		}
	}
	golang := regexp.MustCompile(`(?m)go([\d.]+)\.linux`).FindStringSubmatch(readFile(t, "scripts/go.sha256"))[1]
	if !strings.Contains(readFile(t, "Dockerfile"), "ARG GO_IMAGE=golang:"+golang+"-bookworm\n") {
		t.Errorf("the Dockerfile does not build with Go %s", golang)
	}
}
