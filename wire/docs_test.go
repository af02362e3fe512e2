package wire

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/roomtide/roomtide/chat"
)

// The specification names everything that this package can read and write.
func TestSpecificationIsComplete(t *testing.T) {
	var words []string
	for name := range commands {
		words = append(words, name)
	}
	for k := chat.Internal; k <= chat.Fenced; k++ {
		words = append(words, k.Code())
	}
	for r := range chat.GapReasons {
		words = append(words, r.String())
	}
	readme, spec := read(t, "README.md"), read(t, "asyncapi.yaml")
	for _, w := range words {
		if !strings.Contains(readme, "`"+w+"`") {
			t.Errorf("README.md does not name %s", w)
		}
	}
	for name := range commands {
		if !strings.Contains(spec, " "+name+",") && !strings.Contains(spec, " "+name+"]") && !strings.Contains(spec, "["+name+",") {
			t.Errorf("asyncapi.yaml does not name the command %s", name)
		}
	}
	features := between(t, "README.md", "\n`features` are ", "\n\n")
	for _, name := range Features {
		if !strings.Contains(features, "`"+name+"`") {
			t.Errorf("README.md does not name the feature %s", name)
		}
	}
	l := chat.DefaultLimits()
	for _, f := range limitFields(&l) {
		if !strings.Contains(readme, "`"+f.name+"`") {
			t.Errorf("README.md does not name the limit %s", f.name)
		}
	}
	for _, g := range chat.Goodbyes {
		if !strings.Contains(readme, "| "+strconv.Itoa(g.Code)+" | `"+g.Reason+"` | ") {
			t.Errorf("README.md does not name the goodbye %d %s", g.Code, g.Reason)
		}
	}
}

// Every field of an answer in the golden frames is in asyncapi.yaml.
func TestFieldsOfAcksAreSpecified(t *testing.T) {
	var spec struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "asyncapi.yaml")), &spec); err != nil {
		t.Fatal(err)
	}
	known, acks := spec.Components.Schemas["ack"].Properties, 0
	for line := range strings.Lines(read(t, "golden/server.jsonl")) {
		var golden struct {
			Name  string
			Frame map[string]any
		}
		if err := json.Unmarshal([]byte(line), &golden); err != nil {
			t.Fatal(err)
		}
		if golden.Frame["type"] != "ack" {
			continue
		}
		acks++
		for field := range golden.Frame {
			if known[field] == nil {
				t.Errorf("asyncapi.yaml does not have the field %s of %s", field, golden.Name)
			}
		}
	}
	if acks < 10 {
		t.Errorf("%d answers among the golden frames", acks)
	}
}

// Every kind of event in the table of chat has an encoder and a decoder, a golden
// frame, a line in the tables of README.md that says whether it is durable, and a
// word in asyncapi.yaml. A Socket.IO client that follows the sample of socketio.md
// listens to all durable kinds.
func TestEventKindsAreComplete(t *testing.T) {
	golden := map[chat.EventKind]bool{}
	for _, tt := range serverCases() {
		if tt.want.Event != nil {
			golden[tt.want.Event.Kind] = true
		}
	}
	_, events, _ := strings.Cut(read(t, "README.md"), "\n## Events\n")
	events, _, _ = strings.Cut(events, "\n## ")
	rows := map[string]string{}
	for row := range strings.Lines(events) {
		if cells := strings.Split(row, " | "); len(cells) == 3 {
			rows[strings.Trim(cells[0], "| `")] = strings.Trim(cells[2], "| \n")
		}
	}
	asyncapi := between(t, "asyncapi.yaml", "enum: [message, ", "]")
	listened := between(t, "socketio.md", "for (const type of [", "]")
	for _, k := range chat.EventKinds() {
		if p := int(k.Payload()); p >= len(payloads) || payloads[p].append == nil || payloads[p].read == nil {
			t.Errorf("%s has no encoder or no decoder", k)
		}
		if !golden[k] {
			t.Errorf("%s has no golden frame", k)
		}
		want := map[bool]string{true: "yes", false: "no"}[k.Durable()]
		if rows[k.String()] != want {
			t.Errorf("README.md says of %s: durable %q, want %q", k, rows[k.String()], want)
		}
		if !slices.Contains(strings.Split("message, "+asyncapi, ", "), k.String()) {
			t.Errorf("asyncapi.yaml does not name %s", k)
		}
		if strings.Contains(listened, "'"+k.String()+"'") != k.Durable() {
			t.Errorf("the sample of socketio.md listens to %s: %v", k, !k.Durable())
		}
	}
}

// between returns what stands between two texts in a file of docs/protocol.
func between(t *testing.T, file, before, after string) string {
	t.Helper()
	_, rest, found := strings.Cut(read(t, file), before)
	text, _, ended := strings.Cut(rest, after)
	if !found || !ended {
		t.Fatalf("%s has no %q", file, before)
	}
	return text
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../docs/protocol/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
