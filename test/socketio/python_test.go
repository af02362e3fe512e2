package socketio

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"
)

// TestPython has the client of Debian's package python3-socketio chat. scripts/need
// installs it, for the Python of the system.
func TestPython(t *testing.T) {
	for _, kind := range []string{"sync", "asyncio"} {
		for transports, last := range map[string]string{"polling": "polling", "websocket": "websocket", "polling,websocket": "websocket"} {
			t.Run(kind+"/"+transports, func(t *testing.T) {
				w := newFixture(t)
				cmd := exec.CommandContext(w.ctx(), "/usr/bin/python3", "peer.py", w.node.URL(""), kind, transports)
				var errs bytes.Buffer
				cmd.Stderr = &errs
				out, err := cmd.Output()
				if err != nil || bytes.Contains(errs.Bytes(), []byte("Traceback")) { // of a handler it is only printed
					t.Fatalf("%v\n%s", err, &errs)
				}
				var got [6]json.RawMessage
				if err := json.Unmarshal(out, &got); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				var f [5]frame
				for i := range f {
					if err := json.Unmarshal(got[i], &f[i]); err != nil {
						t.Fatalf("%v\n%s", err, got[i])
					}
				}
				if f[0].Type != "ack" || f[0].User != "ann" || f[1].Room != "room1" || f[2].Seq != 1 ||
					f[3].Message != "grüße 😀" || f[3].Seq != 1 || f[4].Code != "not_member" || string(got[5]) != `"`+last+`"` {
					t.Errorf("%s", out)
				}
			})
		}
	}
}
