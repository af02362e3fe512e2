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
	cfg.Ingest.Redis.List = "q"
	want(t, examine(t, Options{Config: cfg}), `ok databases/ingest.redis: the queues in it can be read`)
	cfg.Ingest.Redis.URL = "redis://" + s.Addr
	want(t, examine(t, Options{Config: cfg}), `warn databases/ingest.redis: redis asks for a password`)
	cfg.Ingest.Redis.URL, cfg.Ingest.Redis.List = "", ""
	cfg.Redis = "redis://" + s.Addr
	want(t, examine(t, Options{Config: cfg}), `warn databases/redis: redis asks for a password \(NOAUTH\)`)
	cfg.Redis = "redis://default:wrong@" + s.Addr
	want(t, examine(t, Options{Config: cfg}), `warn databases/redis: redis refuses the user or password \(WRONGPASS\)`)
	admin := s.ClientWith("secret")
	s.Do(admin, "ACL", "SETUSER", "tide", "on", ">pw", "~other:*", "+@all")
	cfg.Redis = "redis://tide:pw@" + s.Addr
	want(t, examine(t, Options{Config: cfg}), `warn databases/redis: the user has no right in redis \(NOPERM\)`)
	cfg.Redis += "/99"
	want(t, examine(t, Options{Config: cfg}), `warn databases/redis: redis has no database of this number`)
	cfg.Redis, cfg.RedisPrefix = "redis://tide:pw@"+s.Addr, "other:"
	want(t, examine(t, Options{Config: cfg}), `ok databases/redis: `)
	if left := s.Do(admin, "KEYS", "*users"); left != "" {
		t.Errorf("keys are left: %s", left)
	}
	s.Kill()
	want(t, examine(t, Options{Config: cfg}), `warn databases/redis: redis does not answer .*-> until it does`)
}
