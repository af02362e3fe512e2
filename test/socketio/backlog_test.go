package socketio

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestBacklog has clients that have written much more than a message may be before they
// are connected, which those before 4.5 send in one request.
func TestBacklog(t *testing.T) {
	code := strings.Join(documented(t, "Coming back"), "\n")
	w := newFixture(t)
	for _, v := range append(slices.Clone(collectors), versions[0]) {
		for _, m := range modes[:3] {
			t.Run(v.version+"/"+m.name, func(t *testing.T) {
				name := v.name + "-" + m.name
				var texts []string
				for i := range 10 {
					texts = append(texts, fmt.Sprint(i, strings.Repeat("日", 3900)))
				}
				c := newObject(t, "backlogged", v.name, code, w.node.URL(""), m.with(fields{"auth": fields{"user": name}}), name, name, texts)
				got := do[struct {
					Received []string
					Connects int
				}](c, "sent")
				slices.Sort(got.Received) // they wait for their acks, not for each other
				if !slices.Equal(got.Received, texts) || got.Connects != 1 {
					t.Errorf("%d messages after %d connects", len(got.Received), got.Connects)
				}
				do[bool](c, "close")
			})
		}
	}
}

// TestTooLarge has clients that try to send what is too large, and would for ever.
func TestTooLarge(t *testing.T) {
	code := strings.Join(documented(t, "Coming back"), "\n")
	w := newFixture(t)
	for _, v := range append(slices.Clone(collectors), versions[0]) {
		for _, m := range modes[:2] {
			for _, size := range []int{70_000, 1_500_000} {
				t.Run(fmt.Sprint(v.version, "/", m.name, "/", size), func(t *testing.T) {
					c := newObject(t, "backlogged", v.name, code, w.node.URL(""), m.with(fields{"auth": fields{"user": "ada"}}), "ada", "room1",
						[]string{strings.Repeat("x", size)})
					end := do[struct {
						Reason   string
						Goodbye  frame
						Connects int
					}](c, "refused")
					if end.Reason != "io server disconnect" || end.Goodbye.Reason != "too_large" || end.Goodbye.Retry != "never" || end.Connects != 1 {
						t.Errorf("%+v", end)
					}
					do[bool](c, "close")
				})
			}
		}
	}
}
