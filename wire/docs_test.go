package wire

import (
	"os"
	"strconv"
	"strings"
	"testing"

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
	for _, tt := range serverCases() {
		if tt.want.Event != nil {
			words = append(words, tt.want.Type)
		}
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
	l := chat.DefaultLimits()
	for _, f := range limitFields(&l) {
		if !strings.Contains(readme, "`"+f.name+"`") {
			t.Errorf("README.md does not name the limit %s", f.name)
		}
	}
	for _, g := range []chat.Goodbye{chat.ByeDraining, chat.ByeSlow, chat.ByeTimeout, chat.ByeBusy, chat.ByeFlood, chat.ByeProtocol, chat.ByeTooLarge, chat.ByeExpired, chat.ByeRevoked, chat.ByeNoHello, chat.ByeForbidden} {
		if !strings.Contains(readme, "| "+strconv.Itoa(g.Code)+" | `"+g.Reason+"` | ") {
			t.Errorf("README.md does not name the goodbye %d %s", g.Code, g.Reason)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../docs/protocol/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
