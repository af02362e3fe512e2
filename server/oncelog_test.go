package server

import (
	"log/slog"
	"strings"
	"testing"
)

func TestWarningsOnce(t *testing.T) {
	var b strings.Builder
	log := once(slog.New(slog.NewTextHandler(&b, nil)))
	for _, shard := range []string{"a", "b"} {
		log := log.With("database", shard)
		log.Warn("setting", "value", 1)
		log.Warn("setting", "value", 2)
		log.Info("setting", "value", 1)
		log.WithGroup("g").Warn("other")
	}
	if got := strings.Count(b.String(), "\n"); got != 5 || strings.Count(b.String(), "level=WARN") != 3 || strings.Count(b.String(), "database=b") != 1 {
		t.Errorf("%d lines:\n%s", got, b.String())
	}
}
