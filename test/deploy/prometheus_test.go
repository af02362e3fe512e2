package deploy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// promtool, the tool of Prometheus, finds the rules and the configuration sound, and the
// alerts are raised by what they are for.
func TestAlertRules(t *testing.T) {
	for _, args := range [][]string{
		{"check", "config", "prometheus.yml"}, {"check", "rules", "--lint=all", "--lint-fatal", "roomtide.rules.yml"}, {"test", "rules", "roomtide.rules.test.yml"},
	} {
		args[len(args)-1] = filepath.Join(root, "deploy/prometheus", args[len(args)-1])
		run(t, "promtool", args...)
	}
}

// dashboard is what a Grafana dashboard has, as far as it is used.
type dashboard struct {
	UID, Title    string
	Tags          []string
	SchemaVersion int
	Version       int
	Editable      bool
	Refresh       string
	Time          map[string]string
	Templating    struct{ List []map[string]any }
	Panels        []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Collapsed                bool
	Datasource               map[string]string
	GridPos                  struct{ H, W, X, Y int }
	FieldConfig, Options     map[string]any
	Targets                  []struct {
		RefID, Expr, LegendFormat string
		Datasource                map[string]string
	}
	Panels []any
}

// The dashboard has panels with ids of their own that do not overlap, and Prometheus
// understands every expression.
func TestDashboard(t *testing.T) {
	var d dashboard
	dec := json.NewDecoder(strings.NewReader(readFile(t, "deploy/grafana/roomtide.json")))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		t.Fatal(err)
	}
	ids, cells := map[int]bool{}, map[[2]int]string{}
	rules := "groups:\n- name: dashboard\n  rules:\n"
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d %q", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if cells[at] != "" || at[0] >= 24 {
					t.Errorf("%q lies on %q", p.Title, cells[at])
				}
				cells[at] = p.Title
			}
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%q shows nothing", p.Title)
		}
		for _, q := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*").Replace(q.Expr)
			rules += fmt.Sprintf("  - {record: \"panel:%d_%s\", expr: %q}\n", p.ID, strings.ToLower(q.RefID), expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%q: %s has an unknown variable", p.Title, q.Expr)
			}
			for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(q.LegendFormat, -1) {
				if strings.Contains(q.Expr, " by (") && !regexp.MustCompile(`by \([^)]*\b`+m[1]+`\b`).MatchString(q.Expr) {
					t.Errorf("%q: the legend names %s, which %s does not keep", p.Title, m[1], q.Expr)
				}
			}
		}
	}
	file := filepath.Join(t.TempDir(), "dashboard.rules.yml")
	write(t, file, rules)
	run(t, "promtool", "check", "rules", file)
}

// ofClusters are metrics that a node alone does not have: they need NATS, Redis, or other nodes.
var ofClusters = regexp.MustCompile(`^roomtide_(nats|redis|cluster|relay|bus|queue|embedded|move)_`)

// Every metric of the alerts and of the dashboard is one that a node has under that name.
func TestMetricsExist(t *testing.T) {
	node := roomtide.Start(t, t.TempDir(), testprocess.FreeAddr(t), "ROOMTIDE_METRICS_PUBLIC=true", "ROOMTIDE_PUSH_LOG=true")
	node.Ready()
	resp, err := http.Get(node.URL("/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^roomtide_\w+`).FindAllString(string(text), -1) {
		there[m] = true
		there[strings.TrimSuffix(m, "_bucket")] = true // a histogram, as texts name it
	}
	checked := 0
	for _, file := range []string{"deploy/prometheus/roomtide.rules.yml", "deploy/grafana/roomtide.json"} {
		for _, m := range regexp.MustCompile(`\broomtide_\w+`).FindAllString(readFile(t, file), -1) {
			if ofClusters.MatchString(m) {
				continue
			}
			checked++
			if !there[m] {
				t.Errorf("%s has %s, which a node does not have", file, m)
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d metrics were looked at", checked)
	}
}
