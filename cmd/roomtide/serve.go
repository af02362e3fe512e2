package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/doctor"
	"github.com/roomtide/roomtide/server"
)

type serveVerb struct {
	File          string `name:"config" placeholder:"FILE" help:"Configuration file. Default: roomtide.toml in the data dir, which the first start writes."`
	config.Config `embed:""`
}

func (*serveVerb) Help() string {
	return `Examples:

    roomtide serve
    roomtide serve --data-dir /var/lib/roomtide --tls-cert cert.pem --tls-key key.pem --listen :443
    ROOMTIDE_GUESTS=off roomtide serve

Every flag is also an environment variable (--tls-cert is ROOMTIDE_TLS_CERT) and a key of the
TOML file (tls.cert). Flags win over the environment, the environment over the file.

The first SIGINT or SIGTERM lets the node finish its work, the second one ends it at once.`
}

func (v *serveVerb) Run(a *app) (err error) {
	cfg, err := sound(config.Load(config.Args{File: v.File, Values: &v.Config, Given: a.given}, a.env))
	if err != nil {
		return err
	}
	log := newLog(a.stderr, cfg)
	made, err := cfg.CreateFile()
	if err != nil {
		return err
	}
	for _, w := range append(cfg.Warnings(), doctor.FileWarnings(cfg)...) {
		log.Warn(w)
	}
	srv, err := server.Open(a.ctx, cfg, version(), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	guests := "come with a token: roomtide token --user NAME"
	if cfg.GuestsWelcome() {
		guests = "guests are welcome"
	}
	settings := ""
	if made {
		settings = "\n  settings in " + cfg.File() + ", all at their defaults"
	}
	fmt.Fprintf(a.stdout, "\n  Roomtide %s\n\n  %s\n%s\n  data in %s, %s\n\n", version(), srv.URL(), settings, cfg.DataDir, guests)
	return srv.Run(a.ctx)
}

func newLog(w io.Writer, cfg *config.Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		panic(err) // Check has allowed other words than slog knows
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
