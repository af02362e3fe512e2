package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/wire"
)

// HookConfig configures a Hook. URL, Secret and Deployment are required.
type HookConfig struct {
	URL        string
	Secret     string
	Deployment string
	Timeout    time.Duration // for one answer; default a second
	FailOpen   bool          // messages are stored as they are while there is no answer; else they are refused

	Allow   []netip.Prefix // as of Config
	Version string

	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// hookPause is the longest pause after failures: senders wait for it.
const hookPause = 10 * time.Second

// Hook asks the host about messages before they are stored. A request is made once, and
// its answer decides: allow, refuse with a reason, or other text and data. While requests
// fail, the breaker answers without one, as FailOpen says, so that no sender waits for a host
// that is down.
type Hook struct {
	// Set once.
	cfg     HookConfig
	caller  *caller
	breaker breaker
	answers *prometheus.CounterVec
	took    prometheus.Histogram
}

// NewHook returns a Hook, or nil if there is no URL: its metrics are there nevertheless.
// Invalid if the secret is none. Close ends its connections.
func NewHook(cfg HookConfig) (*Hook, error) {
	h := &Hook{}
	h.measure(cfg.Registerer)
	if cfg.URL == "" {
		return nil, nil
	}
	if _, err := secretKey(cfg.Secret); err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h.cfg, h.breaker.longest = cfg, hookPause
	h.caller = newCaller(cfg.Allow, cfg.Timeout, 2*connsPerHost, cfg.Version, cfg.Now)
	return h, nil
}

// measure makes the metrics.
func (h *Hook) measure(reg prometheus.Registerer) {
	h.answers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "roomtide_before_message_total", Help: "Messages by the answer of before_message: allowed, refused, changed; or failed_open, failed_closed without one.",
	}, []string{"answer"})
	h.took = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "roomtide_before_message_seconds", Help: "How long answers of before_message take.", Buckets: prometheus.ExponentialBuckets(0.002, 2.5, 9),
	})
	for _, answer := range []string{"allowed", "refused", "changed", "failed_open", "failed_closed"} {
		h.answers.WithLabelValues(answer)
	}
	if reg != nil {
		reg.MustRegister(h.answers, h.took)
	}
}

func (h *Hook) Close() { h.caller.close() }

// question is the data of a request.
type question struct {
	Room    chat.RoomID     `json:"room"`
	User    chat.UserID     `json:"user"`
	Seq     chat.Seq        `json:"seq,omitempty"`
	BackEnd bool            `json:"back_end,omitempty"`
	Key     string          `json:"key,omitempty"`
	ReplyTo chat.Seq        `json:"reply_to,omitempty"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Before is engine.Config.BeforeMessage.
func (h *Hook) Before(ctx context.Context, m *engine.Before) error {
	if h.breaker.begin(h.cfg.Now()) > 0 {
		return h.fail()
	}
	begun := h.cfg.Now()
	id, body, err := h.question(m, begun)
	if err != nil {
		h.breaker.cancelled()
		return &chat.Error{Kind: chat.Internal, Op: "webhook.before", Err: err}
	}
	answer, err := h.caller.call(ctx, h.cfg.URL, []string{h.cfg.Secret}, id, body)
	crashpoint.Hit("before-message-answered")
	var f *failure
	var verdict wire.Object
	if err == nil {
		verdict, f = read(answer)
	} else if !errors.As(err, &f) {
		f = &failure{result: "invalid", text: "it could not be asked", err: err}
	}
	failing, _, _ := h.breaker.state()
	h.breaker.end(f, h.cfg.Now())
	h.took.Observe(h.cfg.Now().Sub(begun).Seconds())
	if f != nil {
		if !failing {
			h.cfg.Log.Warn("webhook: before_message fails", "host", host(h.cfg.URL), "open", h.cfg.FailOpen, "err", f)
		}
		return h.fail()
	}
	if failing {
		h.cfg.Log.Info("webhook: before_message answers again", "host", host(h.cfg.URL))
	}
	return h.apply(m, verdict)
}

// fail is what becomes of a message without an answer.
func (h *Hook) fail() error {
	if h.cfg.FailOpen {
		h.answers.WithLabelValues("failed_open").Inc()
		return nil
	}
	h.answers.WithLabelValues("failed_closed").Inc()
	return &chat.Error{Kind: chat.Unavailable, Op: "webhook.before", Text: "messages are checked before they are sent, and that does not work now; try again", RetryAfter: 2000}
}

// question is the request about a message. A message that is sent again with its key has
// the same id.
func (h *Hook) question(m *engine.Before, now time.Time) (id string, body []byte, err error) {
	kind := "message.before"
	if m.Seq > 0 {
		kind = "message.before_edit"
	}
	data, err := json.Marshal(question{m.Room, m.User, m.Seq, m.Server, m.Key, m.ReplyTo, m.Text, m.Data})
	if err != nil {
		return "", nil, err
	}
	digest := sha256.New()
	digest.Write([]byte(h.cfg.Deployment + "\x00" + kind + "\x00"))
	digest.Write(data)
	id = "ask_" + base64.RawURLEncoding.EncodeToString(digest.Sum(nil)[:18])
	body = append(wire.AppendHead(nil, kind, id, now.UnixMilli()), `,"data":`...)
	return id, append(append(body, data...), '}'), nil
}

// read reads an answer; none is one that allows.
func read(answer []byte) (wire.Object, *failure) {
	if len(answer) == 0 {
		return wire.Object{}, nil
	}
	verdict, err := wire.DecodeObject(answer)
	if err != nil {
		return nil, &failure{result: "answer", text: "the answer is not a JSON object of less than 64 KiB"}
	}
	return verdict, nil
}

// apply does what the answer says: {"allow":false,"reason":"…"}, or {"message":"…","data":…}
// for what the message is to be.
func (h *Hook) apply(m *engine.Before, verdict wire.Object) error {
	allow, reason := true, ""
	text, data := m.Text, m.Data
	for name, to := range map[string]any{"allow": &allow, "reason": &reason, "message": &text} {
		if raw, ok := verdict[name]; ok && json.Unmarshal(raw, to) != nil {
			h.cfg.Log.Warn("webhook: an answer of before_message has a field of another type", "field", name)
			return h.fail()
		}
	}
	switch changed, err := verdict.Data("data"); {
	case err != nil:
		h.cfg.Log.Warn("webhook: an answer of before_message has data that is not readable everywhere")
		return h.fail()
	case changed != nil:
		data = changed
	}
	switch {
	case !allow:
		h.answers.WithLabelValues("refused").Inc()
		return refusal(reason)
	case text != m.Text || string(data) != string(m.Data):
		h.answers.WithLabelValues("changed").Inc()
		m.Text, m.Data = text, data
	default:
		h.answers.WithLabelValues("allowed").Inc()
	}
	return nil
}

// maxReason bounds what the sender of a refused message is told.
const maxReason = 500

func refusal(reason string) error {
	if reason == "" || chat.CheckName("reason", reason, maxReason) != nil {
		reason = "the message was refused"
	}
	return chat.E(chat.Forbidden, reason)
}
