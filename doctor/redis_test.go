package doctor

import (
	"testing"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/testredis"
)

func TestRedis(t *testing.T) {
	s := testredis.Start(t, "--requirepass", "secret")
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	cfg.Redis = "redis://default:secret@" + s.Addr
	want(t, examine(t, Options{Config: cfg}), `ok databases/redis: redis://default:xxxxx@127\.\S+ answers`)
	cfg.Redis = "redis://" + s.Addr
	want(t, examine(t, Options{Config: cfg}), `warn databases/redis: redis asks for a password \(NOAUTH\)`)
	cfg.Redis = "redis://default:wrong@" + s.Addr
	want(t, examine(t, Options{Config: cfg}), `warn databases/redis: redis refuses the user or password \(WRONGPASS\)`)
	s.Kill()
	want(t, examine(t, Options{Config: cfg}), `warn databases/redis: redis does not answer .*-> until it does`)
}
