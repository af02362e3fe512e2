package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/embednats"
)

// Witness is a NATS server and nothing else: the third one of a cluster of two nodes, so
// that either of them is with a majority when the other one is gone. It has a copy of the
// queue, and no database.
type Witness struct {
	s   *Server // has the settings, the log and what is undone
	own *embednats.Server
}

// OpenWitness starts a witness from settings that config.CheckWitness has found sound.
func OpenWitness(cfg *config.Config, log *slog.Logger) (_ *Witness, err error) {
	s := &Server{cfg: cfg, log: log, reg: prometheus.NewRegistry()}
	s.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	server, err := embedded(cfg)
	if err != nil {
		return nil, err
	}
	server.Log, server.Registerer = log, s.reg
	w := &Witness{s: s}
	if w.own, err = embednats.Start(server); err != nil {
		return nil, err
	}
	s.onClose(w.own.Close)
	return w, w.serve()
}

// serve tells how the witness is, if it has an address for that.
func (w *Witness) serve() error {
	if w.s.cfg.MetricsListen == "" {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(w.s.reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "{\"status\":\"ok\"}\n") })
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, _ *http.Request) {
		if err := cmp.Or(w.own.Ready(), w.own.CaughtUp()); err != nil {
			http.Error(rw, chat.Public(err).Text, http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(rw, "{\"status\":\"ok\"}\n")
	})
	_, err := w.s.serveAside("server.metrics", w.s.cfg.MetricsListen, mux)
	return err
}

// Run returns when ctx is done.
func (w *Witness) Run(ctx context.Context) error {
	<-ctx.Done()
	w.s.log.Info("stopping")
	return nil
}

// Close ends the witness. It may be called again.
func (w *Witness) Close() error { return w.s.Close() }
