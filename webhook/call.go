package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/roomtide/roomtide/internal/egress"
)

const (
	answerBytes = 64 << 10  // of an answer that are read
	longestWait = time.Hour // that an endpoint may ask for
)

// caller sends signed requests to addresses that the host has chosen.
type caller struct {
	client    *http.Client
	userAgent string
	now       func() time.Time
}

func newCaller(allow []netip.Prefix, timeout time.Duration, conns int, version string, now func() time.Time) *caller {
	t := egress.Guard{Allow: allow}.Transport()
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = conns, conns
	t.DisableCompression = true // a small answer would become a large one
	return &caller{
		client: &http.Client{
			Transport: t, Timeout: timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		userAgent: "Roomtide/" + version, now: now,
	}
}

func (c *caller) close() { c.client.CloseIdleConnections() }

// failure is why a request was not taken, in words for the operator. They have neither the
// path of the URL nor the body.
type failure struct {
	result string        // for metrics: a word of few
	text   string        // what happened
	after  time.Duration // how long the endpoint asks for, 0 if it does not
	gone   bool          // the endpoint wants nothing any more
	err    error
}

func (f *failure) Error() string {
	if f.err == nil {
		return f.text
	}
	return f.text + ": " + f.err.Error()
}

// call posts a body and returns what was answered, up to a bound. A failure is a *failure.
func (c *caller) call(ctx context.Context, address string, secrets []string, id string, body []byte) (answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, &failure{result: "invalid", text: "the URL is not one"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if err := sign(req.Header, secrets, id, c.now(), body); err != nil {
		return nil, &failure{result: "invalid", text: "the secret is not one"}
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, broken(err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, answerBytes))
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, refused(resp, c.now())
	case err != nil:
		return nil, broken(err)
	}
	return answer, nil
}

// refused is the failure of an answer other than 2xx.
func refused(resp *http.Response, now time.Time) *failure {
	f := &failure{
		result: "http_" + strconv.Itoa(resp.StatusCode/100) + "xx", text: "the endpoint answers " + strconv.Itoa(resp.StatusCode),
		after: retryAfter(resp.Header.Get("Retry-After"), now), gone: resp.StatusCode == http.StatusGone,
	}
	if resp.StatusCode/100 == 3 {
		f.text += ": redirects are not followed, give the URL that it leads to"
	}
	return f
}

func retryAfter(s string, now time.Time) time.Duration {
	d := time.Duration(0)
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), longestWait)
}

// broken is the failure of a request without an answer. The error of net/http begins with
// the URL, which may have a secret in it: what is behind that counts.
func broken(err error) *failure {
	timeout := errors.Is(err, context.DeadlineExceeded)
	var whole *url.Error
	if errors.As(err, &whole) {
		timeout, err = timeout || whole.Timeout(), whole.Err
	}
	switch {
	case errors.Is(err, egress.ErrInside):
		return &failure{result: "inside", text: "the endpoint is at an address that is not public: allow it with webhooks.allow", err: err}
	case timeout:
		return &failure{result: "timeout", text: "the endpoint does not answer in time"}
	}
	return &failure{result: "connection", text: "the connection to the endpoint fails", err: err}
}
