package logpush

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/push/pushtest"
)

func TestSuite(t *testing.T) {
	pushtest.Run(t, func(*testing.T) pushtest.Harness {
		return pushtest.Harness{
			Provider: New(slog.New(slog.DiscardHandler)),
			New:      func() (address, id string) { return `{"name":"phone of ann"}`, "" },
			Bad:      []string{`{"name":""}`, `{"name":"` + strings.Repeat("x", 300) + `"}`},
		}
	})
}

func TestLogs(t *testing.T) {
	var log strings.Builder
	p := New(slog.New(slog.NewTextHandler(&log, nil)))
	badge := 2
	o := p.Send(t.Context(), `{"name":"phone"}`, &push.Notification{ID: "1", Title: "T", Text: "hello", Badge: &badge, Expires: time.Unix(0, 0)})
	if o.Action != push.Delivered {
		t.Error(o)
	}
	for _, want := range []string{"device=phone", "title=T", "text=hello", "badge=2"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in %s", want, log.String())
		}
	}
}
