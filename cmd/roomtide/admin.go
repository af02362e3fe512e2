package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/server"
)

// admin is how a verb gives orders to a running node: through the socket in its data
// dir, or through the HTTP API of a node elsewhere.
type admin struct {
	place
	URL string `name:"url" placeholder:"URL" help:"URL of a node elsewhere. Default: the node on this machine, through the socket in its data dir."`
	Key string `env:"ROOMTIDE_KEY" placeholder:"KEY" help:"API key with the scope admin, for --url; the environment keeps it out of the list of processes."`
}

// adminTime bounds one request.
const adminTime = 30 * time.Second

// orders is a connection to a node.
type orders struct {
	client http.Client
	base   string
	key    string
	where  string // in errors
}

func (v *admin) connect(a *app) (*orders, error) {
	if v.URL != "" {
		u, err := url.Parse(v.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, usageError("--url must be like https://chat.example.com")
		}
		if v.Key == "" {
			return nil, usageError(`--url needs an API key with the scope admin: --key or ROOMTIDE_KEY ("roomtide key add NAME --scope admin" makes one)`)
		}
		return &orders{client: http.Client{Timeout: adminTime}, base: strings.TrimSuffix(v.URL, "/"), key: v.Key, where: v.URL}, nil
	}
	cfg, err := v.load(a)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(cfg.DataDir, server.AdminSocket)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &orders{
		client: http.Client{Timeout: adminTime, Transport: &http.Transport{DialContext: dial}},
		base:   "http://node", where: "the node of " + cfg.DataDir,
	}, nil
}

// close ends the connection.
func (o *orders) close() { o.client.CloseIdleConnections() }

// do sends a request and reads the answer into out.
func (o *orders) do(ctx context.Context, method, path string, body, out any) error {
	var r io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, o.base+path, r)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if o.key != "" {
		req.Header.Set("Authorization", "Bearer "+o.key)
	}
	resp, err := o.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s does not answer: is it running? start it with \"roomtide serve\", or name its --data-dir or --url (%w)", o.where, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("%s has broken off its answer: %w", o.where, err)
	}
	if resp.StatusCode >= 400 {
		return refusal(resp, raw)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// refusal is the error that an answer tells of.
func refusal(resp *http.Response, raw []byte) error {
	var p problem
	if json.Unmarshal(raw, &p) != nil || p.Detail == "" {
		return chat.E(chat.Internal, "the node has answered "+resp.Status)
	}
	return &p
}
