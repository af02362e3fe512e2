package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/server"
)

func notFound(err error) bool { return chat.KindOf(err) == chat.NotFound }

// reason is an error in the words for an operator.
func reason(err error) string {
	var e *chat.Error
	switch {
	case !errors.As(err, &e):
		return err.Error()
	case e.Text == "" && e.Err != nil:
		return e.Err.Error()
	case e.Err != nil:
		return e.Text + " (" + e.Err.Error() + ")"
	}
	return e.Text
}

// local is the URL of the node on this machine, "" if the settings do not say.
func (e *examination) local() string {
	host, port, err := net.SplitHostPort(e.cfg.Listen)
	if err != nil || port == "0" {
		return ""
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http://"
	if e.cfg.HTTPS() {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, port)
}

// node asks the running node what it is.
func (e *examination) node() {
	base := e.local()
	if base == "" {
		e.add(Warn, "running", "the settings do not say on which port", "give it with --listen")
		return
	}
	// The certificate is for the public name, under which it is looked at.
	loopback := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	self, _, err := e.ask(loopback, base, server.SelfPath, nil)
	if err != nil {
		switch {
		case errors.Is(err, errNoProof):
			e.add(Warn, "running", err.Error(), "")
		case errors.As(err, new(noAnswer)):
			e.add(Warn, "running", "no node answers at "+base+" ("+err.Error()+")", "start it: roomtide serve, or systemctl start roomtide")
		default:
			e.add(Fail, "running", base+": "+err.Error(), "another program, or a node with another data dir, has the address: name its --data-dir, or choose another address with --listen")
		}
		return
	}
	e.self = self
	e.ok("running", "at %s, since %s", base, time.UnixMilli(self.Started).Local().Format(time.DateTime))
	e.ready()
	if self.Version != e.Version {
		e.add(Warn, "version", fmt.Sprintf("the running node is %s, and this program %s", self.Version, e.Version), "restart the node after an upgrade")
	}
	e.sameSettings()
}

// ready tells what the running node cannot serve.
func (e *examination) ready() {
	switch {
	case e.self.Ready != "":
		e.add(Fail, "ready", e.self.Ready, "the log of the node says why")
	case len(e.self.Down) > 0:
		e.add(Fail, "ready", "messages to the rooms of "+strings.Join(e.self.Down, ", ")+" cannot be stored", "the log of the node says why, and so does: roomtide shards")
	}
}

// sameSettings tells which settings the node was started with differ from these.
func (e *examination) sameSettings() {
	var differ []string
	for _, s := range e.cfg.Settings() {
		if running, ok := e.self.Settings[s.Key]; ok && running != s.Text() && s.Key != "data_dir" {
			differ = append(differ, fmt.Sprintf("%s is %s", s.Key, running))
		}
	}
	if len(differ) == 0 {
		e.ok("settings", "the node runs with these settings")
		return
	}
	e.add(Warn, "settings", "the node runs with other settings than these: "+strings.Join(differ, ", "), "restart it, or give doctor the flags that it was started with")
}

// Why a node has not told of itself.
var (
	errNoProof = errors.New("the node cannot be asked")
	errNotOurs = errors.New("what answers is not the node of this data dir")
)

// noAnswer is the error of a request that was not answered.
type noAnswer struct{ error }

func (e noAnswer) Unwrap() error { return e.error }

// ask has a node tell of itself. The error is one of these, with more words.
func (e *examination) ask(client *http.Client, base, path string, h http.Header) (*server.Self, *http.Response, error) {
	resp, err := e.get(client, base+path, h)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	var self server.Self
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, nil, noAnswer{err}
	}
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &self) != nil || self.Settings == nil {
		return nil, resp, fmt.Errorf("%w (%s)", errNotOurs, resp.Status)
	}
	return &self, resp, nil
}

func (e *examination) get(client *http.Client, address string, h http.Header) (*http.Response, error) {
	secret, err := server.Secret(e.cfg, false)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", errNoProof, reason(err))
	}
	req, err := http.NewRequestWithContext(e.ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range h {
		req.Header[name] = slices.Clone(values)
	}
	req.Header.Set(server.SelfHeader, server.SelfProof(secret, time.Now()))
	resp, err := client.Do(req)
	if err != nil {
		return nil, noAnswer{unwrapURL(err)}
	}
	return resp, nil
}

// keySet fetches the keys that sign the tokens of the application's users.
func (e *examination) keySet() {
	if e.cfg.Auth.JWKSURL == "" {
		return
	}
	const help = "without these keys users cannot sign in: correct auth.jwks_url, or the server that has them"
	req, err := http.NewRequestWithContext(e.ctx, http.MethodGet, e.cfg.Auth.JWKSURL, nil)
	if err != nil {
		return // the settings have told
	}
	resp, err := e.HTTP.Do(req)
	if err != nil {
		e.add(Fail, "auth.jwks_url", unwrapURL(err).Error(), help)
		return
	}
	defer resp.Body.Close()
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&set)
	if resp.StatusCode != http.StatusOK || err != nil || len(set.Keys) == 0 {
		e.add(Fail, "auth.jwks_url", "the answer has no keys ("+resp.Status+")", help)
		return
	}
	e.ok("auth.jwks_url", "%s", number(len(set.Keys), "key"))
}

// unwrapURL is the error without the address, which the finding names.
func unwrapURL(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("not within %s", patience)
	}
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
