package roomtide_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/bench"
	"github.com/roomtide/roomtide/bus/natsbus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/embednats"
	"github.com/roomtide/roomtide/internal/limit"
	"github.com/roomtide/roomtide/internal/natslink"
	"github.com/roomtide/roomtide/internal/natsstream"
	"github.com/roomtide/roomtide/internal/testnats"
	"github.com/roomtide/roomtide/queue/jetstream"
	"github.com/roomtide/roomtide/relay"
	"github.com/roomtide/roomtide/server"
)

// The documents name paths, commands and metrics. These tests compare them with
// the tree, so that a rename that leaves a document behind fails.

// documents returns the text of every document by path. docs/protocol has tests
// of its own in package wire.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			texts[filepath.ToSlash(file)] = readFile(t, file)
		}
	}
	return texts
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	codeSpan = regexp.MustCompile("`([^`\n]+)`")
	fence    = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	filePath = regexp.MustCompile(`^[\w.*<>-]+(/[\w.*<>-]+)*/?$`)
	variable = regexp.MustCompile(`<[^>]+>`)
	// notHere are names with a slash that are no paths of the repository: packages
	// of the standard library, and what make writes.
	notHere = []string{"log/slog", "net/http", "database/sql", ".tools/node", "bin/roomtide", "./roomtide-data"}
)

// spans returns what stands in backticks outside fenced code.
func spans(text string) (all []string) {
	for _, m := range codeSpan.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		all = append(all, m[1])
	}
	return all
}

// isPath reports whether a code span means a file or directory of the repository.
// Module paths have a dot in their first element.
func isPath(span string) bool {
	if !filePath.MatchString(span) || slices.Contains(notHere, span) {
		return false
	}
	first, _, nested := strings.Cut(span, "/")
	if !nested {
		ext := path.Ext(span)
		return ext == ".go" || ext == ".md" || ext == ".mjs"
	}
	return !strings.Contains(strings.TrimPrefix(first, "."), ".")
}

func TestDocumentsNamePathsThatExist(t *testing.T) {
	for file, text := range documents(t) {
		for _, span := range spans(text) {
			if !isPath(span) {
				continue
			}
			found, err := filepath.Glob(variable.ReplaceAllString(strings.TrimSuffix(span, "/"), "*"))
			if err != nil || len(found) == 0 {
				t.Errorf("%s names `%s`, which does not exist", file, span)
			}
		}
	}
}

// Documents write what is in a Go file as `name` of `file.go`, also with several names.
func TestDocumentsNameCodeThatExists(t *testing.T) {
	of := regexp.MustCompile("(`[\\w.]+`(?:(?:,| and) `[\\w.]+`)*) of `([\\w/]+\\.go)`")
	found := 0
	for file, text := range documents(t) {
		for _, m := range of.FindAllStringSubmatch(text, -1) {
			code := readFile(t, m[2])
			for _, name := range spans(m[1]) {
				name = name[strings.LastIndex(name, ".")+1:]
				if found++; !regexp.MustCompile(`\b` + name + `\b`).MatchString(code) {
					t.Errorf("%s names %s of %s, which does not have it", file, name, m[2])
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d names: do documents write them in another form?", found)
	}
}

func TestDocumentsLinkToWhatExists(t *testing.T) {
	for file, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := file
			if target != "" {
				to = path.Join(path.Dir(file), target)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s, which does not exist", file, m[1])
			} else if anchor != "" && !slices.Contains(anchors(readFile(t, to)), anchor) {
				t.Errorf("%s links to %s, which has no such heading", file, m[1])
			}
		}
	}
}

// anchors are the names that headings have on a rendered page.
func anchors(text string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127:
				return r
			}
			return -1
		}, strings.ToLower(m[1])))
	}
	return all
}

// Comments in code point at documents as docs/….md, and doc.go at Go files.
func TestCommentsNameDocumentsThatExist(t *testing.T) {
	document := regexp.MustCompile(`\bdocs/[\w/.-]+\.(md|yaml|jsonl)\b`)
	for _, name := range regexp.MustCompile(`\w+/\w+\.go\b`).FindAllString(readFile(t, "doc.go"), -1) {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("doc.go names %s, which does not exist", name)
		}
	}
	for dir := range readTree(t) {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			for _, name := range document.FindAllString(readFile(t, file), -1) {
				if _, err := os.Stat(name); err != nil {
					t.Errorf("%s names %s, which does not exist", file, name)
				}
			}
		}
	}
}

var (
	makeTarget = regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)")
	verb       = regexp.MustCompile("(?m)(?:^|`|\\./bin/|cmd/)roomtide ([a-z]+)((?: [a-z0-9]+)*)")
	goBench    = regexp.MustCompile(`-bench (\w+) (\./[\w/]+)`)
)

func TestDocumentsNameCommandsThatExist(t *testing.T) {
	makefile := readFile(t, "Makefile")
	scenarios := new(bench.Flags).Help()
	for file, text := range documents(t) {
		for _, m := range makeTarget.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s names %q, which is no target of the Makefile", file, "make "+m[1])
			}
		}
		for _, m := range verb.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat("cmd/roomtide/" + m[1] + ".go"); err != nil {
				t.Errorf("%s names %q, which is no verb", file, "roomtide "+m[1])
			}
			for _, name := range strings.Fields(m[2]) {
				if m[1] == "bench" && !strings.Contains(scenarios, "\n    "+name+" ") {
					t.Errorf("%s names the scenario %q, which roomtide bench does not have", file, name)
				}
			}
		}
		for _, m := range goBench.FindAllStringSubmatch(text, -1) {
			tests, _ := filepath.Glob(m[2] + "/*_test.go") // the pattern is well formed
			if !slices.ContainsFunc(tests, func(f string) bool { return strings.Contains(readFile(t, f), "func Benchmark"+m[1]) }) {
				t.Errorf("%s names the benchmark %s, which %s does not have", file, m[1], m[2])
			}
		}
	}
}

// Decisions have one format, and numbers without a hole or a double.
func TestDecisionsHaveOneFormat(t *testing.T) {
	format := regexp.MustCompile(`(?s)^# (\d{4}): \S.*?\n\nStatus: [^\n]+\n\n## Question\n.+\n## Decision\n.+\n## Also considered\n.+\n## Consequences\n.+$`)
	files, err := filepath.Glob("docs/decisions/*.md")
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]string{}
	for _, file := range files {
		m := format.FindStringSubmatch(readFile(t, file))
		number := filepath.Base(file)[:4]
		if m == nil || m[1] != number {
			t.Errorf("%s does not have the format of 0000-template.md", file)
		}
		if other := numbers[number]; other != "" {
			t.Errorf("%s and %s have one number", other, file)
		}
		numbers[number] = file
	}
}

// A direct dependency is named, with its reason, in a decision.
func TestDependenciesAreDecided(t *testing.T) {
	var decisions strings.Builder
	for file, text := range documents(t) {
		if strings.HasPrefix(file, "docs/decisions/") {
			decisions.WriteString(text)
		}
	}
	required := regexp.MustCompile(`(?m)^\t(\S+) v\S+$`) // "// indirect" ends other lines
	for _, m := range required.FindAllStringSubmatch(readFile(t, "go.mod"), -1) {
		if !strings.Contains(decisions.String(), "`"+m[1]+"`") {
			t.Errorf("no decision names the dependency %s", m[1])
		}
	}
}

const architecture = "docs/architecture.md"

// The metrics that documents name are those of a node, and what a full queue
// counts stands in the table of queues. A metric with labels has its series from
// the start, or it does not exist for this test.
func TestDocumentsNameMetricsThatExist(t *testing.T) {
	exposed := append(metrics(t), clusterMetrics(t)...)
	documented := map[string][]string{}
	for file, text := range documents(t) {
		if file == "CHANGELOG.md" {
			continue // it names what was renamed as well
		}
		documented[file] = named(text, exposed, func(name string) {
			if slices.Contains(oldTables, name) {
				return
			}
			t.Errorf("%s names the metric %s, which a node does not have", file, name)
		})
	}
	for _, file := range []string{"deploy/prometheus/roomtide.rules.yml", "deploy/prometheus/roomtide.rules.test.yml", "deploy/grafana/roomtide.json"} {
		text := readFile(t, file)
		for _, name := range regexp.MustCompile(`\broomtide_\w+`).FindAllString(text, -1) {
			if !slices.Contains(exposed, name) && !slices.Contains(exposed, series.ReplaceAllString(name, "")) {
				t.Errorf("%s names the metric %s, which a node does not have", file, name)
			}
		}
	}
	full := regexp.MustCompile(`_(refused|rejected|put_off|slow|gaps|lost|undone|forgotten|evicted|deferred|dropped)_total$`)
	for _, name := range exposed {
		if full.MatchString(name) && !slices.Contains(documented[architecture], name) {
			t.Errorf("%s does not name %s, which tells that a queue was full", architecture, name)
		}
	}
}

// oldTables are those that a move makes in the database of the old chat.
var oldTables = []string{"roomtide_map", "roomtide_feed", "roomtide_changes"}

// series is what a histogram adds to its name.
var series = regexp.MustCompile(`_(bucket|sum|count)$`)

// named returns the metrics that a text names in backticks. A name that begins with
// an underscore continues those before it in its line, from any of their underscores.
func named(text string, exposed []string, unknown func(string)) (names []string) {
	for line := range strings.Lines(text) {
		var before []string
		for _, span := range spans(line) {
			var candidates []string
			switch {
			case span == config.DefaultPrefix: // of tables
				continue
			case strings.HasPrefix(span, "roomtide_"):
				before = append(before, span)
				candidates = []string{span}
			case strings.HasPrefix(span, "_") && len(before) > 0:
				candidates = continued(before, span)
			default:
				continue
			}
			known := slices.DeleteFunc(candidates, func(name string) bool { return !slices.Contains(exposed, name) })
			if len(known) == 0 {
				unknown(span)
			}
			names = append(names, known...)
		}
	}
	return names
}

// continued returns what a suffix can stand for behind some names.
func continued(names []string, suffix string) (all []string) {
	for _, name := range names {
		all = append(all, name+suffix)
		for i, r := range name {
			if r == '_' {
				all = append(all, name[:i]+suffix)
			}
		}
	}
	return all
}

// metrics returns the names of the metrics that a node exposes.
func metrics(t *testing.T) (names []string) {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.Listen, cfg.MetricsPublic = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", true
	cfg.Push.Log = true
	cfg.Redis, cfg.Ingest.Redis.List = "redis://127.0.0.1:9/0", "q" // they have metrics also where nothing answers
	node, err := server.Open(t.Context(), cfg, "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- node.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		node.Close()
	}()
	answer, err := http.Get(node.URL() + "metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status, err)
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (roomtide_\S+) `).FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	return names
}

// clusterMetrics returns the names of the metrics that only a node of a cluster has.
func clusterMetrics(t *testing.T) (names []string) {
	t.Helper()
	reg := prometheus.NewRegistry()
	conn, err := natslink.Dial(natslink.Config{URLs: testnats.Start(t, 1, func(o *natsserver.Options) { o.JetStream = true }).URLs(0), Node: "a", Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	own, err := embednats.Start(embednats.Config{Dir: t.TempDir(), Name: "a", Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	bus := natsbus.New(conn.NATS(), "rt.test", nil, reg)
	streams, err := natsstream.Open(natsstream.Config{NATS: conn.NATS(), Prefix: "rt.test", Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer streams.Close()
	waiting, err := jetstream.Open(t.Context(), jetstream.Config{NATS: conn.NATS(), Prefix: "rt.test", Lanes: 1, MaxBytes: 1 << 20, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	road, err := relay.New(relay.Config{
		NATS: conn.NATS(), Prefix: "rt.test", Node: "a", Lanes: 1, Registerer: reg,
		Submit: func(int, change.Change, change.Origin, change.Done) relay.Taken { return relay.NotOwner },
		Place:  func(change.Change) map[int]change.Change { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	road.Close()
	hellos, err := cluster.OpenHellos(cluster.HellosConfig{NATS: conn.NATS(), Prefix: "rt.test", Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer hellos.Close()
	usage, err := cluster.OpenUsage(cluster.UsageConfig{NATS: conn.NATS(), Prefix: "rt.test", Registerer: reg,
		Spent: func() limit.Spent { return nil }, Charge: func(limit.Spent) {},
		Conns: func() map[netip.Prefix]int { return nil }, Hear: func(string, map[netip.Prefix]int) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer usage.Close()
	families, err := reg.Gather()
	if err = errors.Join(err, bus.Close()); err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		names = append(names, f.GetName())
	}
	return names
}

// The two READMEs have the same headings, entries and rows, and name the same things.
func TestReadmesAreEqual(t *testing.T) {
	english, chinese := readFile(t, "README.md"), readFile(t, "README.zh-CN.md")
	shape := regexp.MustCompile(`(?m)^ *(#+|-|\d\.|\|) `)
	if a, b := shape.FindAllString(english, -1), shape.FindAllString(chinese, -1); !slices.Equal(a, b) {
		t.Errorf("README.md has %d headings, entries and rows, README.zh-CN.md has %d, or in another order", len(a), len(b))
	}
	names := func(text string) (all []string) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], "README") {
				all = append(all, m[1])
			}
		}
		all = append(all, spans(text)...)
		slices.Sort(all)
		return all
	}
	if a, b := names(english), names(chinese); !slices.Equal(a, b) {
		t.Errorf("README.md names %q,\nREADME.zh-CN.md names %q", a, b)
	}
}
