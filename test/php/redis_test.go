package php

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/internal/markdown"
	"github.com/roomtide/roomtide/internal/testredis"
)

// The settings and the page of the section about Redis run as printed, but for the address,
// twice; what they push is in the room once. So is an entry of a stream.
func TestThroughRedis(t *testing.T) {
	for _, file := range []string{"php.md", "php.zh-CN.md"} {
		t.Run(file, func(t *testing.T) {
			all, err := markdown.Blocks("../../docs/" + file)
			if err != nil {
				t.Fatal(err)
			}
			find := func(part string) string {
				for _, b := range all {
					if strings.Contains(b.Text, part) {
						return b.Text
					}
				}
				t.Fatalf("no block has %s", part)
				return ""
			}
			redis, dir := testredis.Start(t), t.TempDir()
			write := func(name, text string) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			host, port, err := net.SplitHostPort(redis.Addr)
			if err != nil {
				t.Fatal(err)
			}
			settings := strings.Replace(find("[ingest.redis]"), "127.0.0.1:6379", redis.Addr, 1) + "stream = \"roomtide:stream\"\n"
			page := write("page.php", strings.Replace(find("rPush"), "'127.0.0.1', 6379", "'"+host+"', "+port, 1)+
				`$redis->xAdd('roomtide:stream', '*', ['json' => json_encode(['room' => 'shop', 'user' => 'ann', 'message' => 'streamed', 'key' => 'once'])]);`)
			s := newSite(t, "--config", write("roomtide.toml", settings))
			run(t, s.env(), "redis.php", "begin")
			ctx, cancel := context.WithTimeout(t.Context(), scriptTime)
			defer cancel()
			for range 2 {
				if out, err := exec.CommandContext(ctx, "php", page).CombinedOutput(); err != nil || len(out) > 0 {
					t.Fatalf("%v: %s", err, out)
				}
			}
			run(t, s.env(), "redis.php")
		})
	}
}
