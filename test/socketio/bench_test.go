package socketio

import (
	"strings"
	"testing"
)

// roomtide bench runs its load against the reference server as well, and its table
// compares the two.
func TestBenchBesideNode(t *testing.T) {
	w := &fixture{t: t}
	out, errs, err := program.Run(w.ctx(), "bench", "--rooms", "2", "--members", "3", "--senders", "2", "--duration", "300ms", "--proto", "socketio", "--node", packages)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	for _, want := range []string{"load on roomtide: 2 rooms", "load on Socket.IO on Node: 2 rooms", "load      roomtide, socketio", "load      Socket.IO on Node"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
