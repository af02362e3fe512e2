package guard

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// crash panics with v. It has a name of its own, to be found in the stack.
func crash(v any) { panic(v) }

func TestReport(t *testing.T) {
	var panics Panics
	report := func(f func()) string {
		var log strings.Builder
		func() {
			defer func() {
				if v := recover(); v != nil {
					panics.Report(slog.New(slog.NewTextHandler(&log, nil)), v, "call", "OnEvent")
				}
			}()
			f()
		}()
		return log.String()
	}
	for _, tt := range []struct {
		name, reason string
		f            func()
	}{
		{"a string", "panic=string ", func() { crash("secret") }},
		{"an error", "panic=*errors.errorString ", func() { crash(errors.New("secret")) }},
		{"of the runtime", `panic="runtime error: index out of range [3] with length 0" `, func() { crash([]int{}[len("abc")]) }},
	} {
		log := report(tt.f)
		for _, want := range []string{"level=ERROR", `msg="a handler panicked" call=OnEvent ` + tt.reason, "guard_test.go"} {
			if !strings.Contains(log, want) {
				t.Errorf("%s: no %s in %s", tt.name, want, log)
			}
		}
		if strings.Contains(log, "secret") {
			t.Errorf("%s: the log quotes the value: %s", tt.name, log)
		}
	}
	if log := report(func() {}); log != "" || panics.Load() != 3 {
		t.Errorf("%d panics counted, and without one the log says %q", panics.Load(), log)
	}
}
