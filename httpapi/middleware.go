package httpapi

import (
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/guard"
)

// ServeHTTP does what all routes have in common and calls the route.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	sw := &statusWriter{ResponseWriter: w}
	defer func() { a.account(sw, r, time.Since(start), recover()) }()
	secure(w.Header())
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		if err := a.checkOrigin(w.Header(), r); err != nil {
			a.fail(sw, r, err)
			return
		}
		if isPreflight(r) {
			preflight(sw)
			return
		}
	}
	if text := crooked(r.URL.EscapedPath()); text != "" {
		a.fail(sw, r, chat.E(chat.NotFound, text))
		return
	}
	if h, pattern := a.mux.Handler(r); pattern == "" {
		a.noRoute(sw, r, h)
		return
	}
	a.mux.ServeHTTP(sw, r)
}

// secure sets the headers that restrict what a browser does with an answer.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// crooked says what is wrong with the slashes of a path, "" if nothing is. The mux would
// redirect, which few clients follow with their body and credentials, and hides the
// mistake.
func crooked(escaped string) string {
	switch clean := path.Clean(escaped); {
	case clean == escaped:
		return ""
	case clean+"/" == escaped:
		return "there is nothing at this address: leave out the slash at the end of the path"
	}
	return "there is nothing at this address: the path has an empty segment, or one of dots (is there a slash too many where a base URL and a path were joined?)"
}

// noRoute answers with a problem where the mux would answer with plain text.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request, h http.Handler) {
	p := &probe{header: http.Header{}}
	h.ServeHTTP(p, r)
	if p.status != http.StatusMethodNotAllowed {
		a.fail(w, r, chat.E(chat.NotFound, "there is nothing at this address"))
		return
	}
	w.Header().Set("Allow", p.header.Get("Allow")+", OPTIONS")
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeProblem(w, http.StatusMethodNotAllowed, chat.E(chat.UnknownType, "this address does not know "+printable(r.Method)))
}

// printable keeps odd methods out of answers.
func printable(method string) string {
	if len(method) > 16 {
		return "this method"
	}
	return method
}

// account ends every request: with an answer if the handler panicked, and always
// with metrics and a debug line, which have neither the query nor a header in them.
func (a *API) account(w *statusWriter, r *http.Request, took time.Duration, panicked any) {
	if panicked == http.ErrAbortHandler {
		panic(panicked)
	}
	if panicked != nil {
		a.metrics.panics.Report(a.log, panicked, "method", r.Method, "route", r.Pattern)
		if w.status != 0 {
			panic(http.ErrAbortHandler) // half an answer must not look whole
		}
		writeProblem(w, http.StatusInternalServerError, chat.Public(chat.Wrap(chat.Internal, "httpapi", nil)))
	}
	route := r.Pattern
	if route == "" {
		route = "other"
	}
	a.metrics.requests.WithLabelValues(route, strconv.Itoa(w.status)).Inc()
	a.metrics.seconds.WithLabelValues(route).Observe(took.Seconds())
	a.log.Debug("request", "method", r.Method, "route", route, "status", w.status, "took", took, "ip", a.cfg.ClientIP(r))
}

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	streams  prometheus.Gauge
	panics   guard.Panics
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roomtide_http_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "roomtide_http_request_seconds", Help: "Time until the answer was written, by route. An event stream counts whole.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60},
		}, []string{"route"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "roomtide_http_event_streams", Help: "Event streams open now.",
		}),
	}
	reg.MustRegister(m.requests, m.seconds, m.streams, prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "roomtide_http_panics_total", Help: "Requests that ended in a panic.",
	}, func() float64 { return float64(m.panics.Load()) }))
	return m
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int // 0: nothing written yet
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// probe is a ResponseWriter that keeps the head of an answer and sends nothing.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) WriteHeader(status int)      { p.status = status }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
