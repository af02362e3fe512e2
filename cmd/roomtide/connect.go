package main

import (
	"context"
	"log/slog"

	"github.com/roomtide/roomtide/client"
)

// remote is how send and tail reach a node.
type remote struct {
	URL   string `name:"url" env:"ROOMTIDE_URL" default:"http://127.0.0.1:8080" help:"URL of the node."`
	Token string `env:"ROOMTIDE_TOKEN" placeholder:"TOKEN" help:"Token of the user; the environment keeps it out of the list of processes."`
	User  string `help:"User to come as, where guests are welcome."`
}

func (r *remote) dial(a *app) (*client.Client, error) {
	switch {
	case r.Token == "" && r.User == "":
		return nil, usageError("who are you? give --user where guests are welcome, else --token or ROOMTIDE_TOKEN (\"roomtide token\" makes one)")
	case r.Token != "" && r.User != "":
		return nil, usageError("the token says who the user is: leave out --user or --token")
	}
	if _, err := client.HTTP(r.URL); err != nil {
		return nil, usageError("--url: " + err.Error())
	}
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	opts := client.Options{URL: r.URL, User: r.User, Log: log}
	if r.Token != "" {
		opts.Token = func(context.Context) (string, error) { return r.Token, nil }
	}
	return client.Dial(a.ctx, opts)
}
