package matrix

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/server"
)

var program *testprocess.Program

func TestMain(m *testing.M) {
	os.Exit(testprocess.Main(m, "", func(p *testprocess.Program) { program = p }))
}

// patience bounds every single wait.
const patience = time.Minute

// node is a running node without guests, and the host's means.
type node struct {
	*testprocess.Node
	t      *testing.T
	dir    string
	secret []byte
	admin  string // an API key with all scopes
	web    *http.Client
}

func start(t *testing.T) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir(), web: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}}
	t.Cleanup(n.web.CloseIdleConnections)
	n.Node = program.Start(t, n.dir, testprocess.FreeAddr(t), "ROOMTIDE_GUESTS=off")
	n.Ready()
	var err error
	cfg := config.Default()
	cfg.DataDir = n.dir
	if n.secret, err = server.Secret(cfg, false); err != nil {
		t.Fatal(err)
	}
	n.admin = n.key("*")
	return n
}

// key makes an API key. All are made before the node is asked with one of them, as it
// reads the list every few seconds.
func (n *node) key(scope string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	out, errs, err := program.Run(ctx, "key", "add", "matrix", "--scope", scope, "--data-dir", n.dir)
	if err != nil {
		n.t.Fatal(err, errs)
	}
	return strings.TrimSpace(out)
}

func (n *node) token(user string, rooms ...chat.RoomID) string {
	n.t.Helper()
	raw, err := identity.Mint(n.secret, chat.UserID(user), "", rooms, time.Hour)
	if err != nil {
		n.t.Fatal(err)
	}
	return raw
}

// post asks over HTTP with an idempotency key and returns the answer.
func (n *node) post(method, path, body, credential, key string) (string, error) {
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, n.URL(path), strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+credential)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := n.web.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return string(answer), err
}

// request asks over HTTP and returns the status and the body. The body of a stream is
// not read.
func (n *node) request(method, path, body, credential, user string, stream bool) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, n.URL(path), bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+credential)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if user != "" {
		req.Header.Set("Roomtide-User", url.PathEscape(user))
	}
	resp, err := n.web.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	if stream && resp.StatusCode == http.StatusOK {
		return resp.StatusCode, nil, nil
	}
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}
