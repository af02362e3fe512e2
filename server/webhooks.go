package server

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/internal/planted"
	"github.com/roomtide/roomtide/webhook"
)

// openWebhooks makes what calls the host's back end. It delivers nothing before
// startWebhooks.
func (s *Server) openWebhooks(ctx context.Context) error {
	deployment, err := s.store.Control.Deployment(ctx)
	if err != nil {
		return err
	}
	h := &s.cfg.Hooks
	history := time.Duration(h.History)
	if history == 0 {
		history = -1
	}
	s.webhooks = webhook.New(webhook.Config{
		Store: s.store, Lanes: s.lanes, Deployment: deployment, Allow: s.cfg.HookNetworks(),
		Timeout: time.Duration(h.Timeout), RetryFor: time.Duration(h.RetryFor), History: history, Version: s.version,
		Now: planted.Now, Log: s.log, Registerer: s.reg,
	})
	return s.openBefore(deployment)
}

// startWebhooks begins to deliver, into the outbox.
func (s *Server) startWebhooks() {
	s.webhooks.Start(s.outbox)
	s.onClose(s.webhooks.Close)
}

// openBefore makes the hook that is asked about messages, if there is one.
func (s *Server) openBefore(deployment string) error {
	h := &s.cfg.Hooks
	if h.BeforeMessage == "" {
		_, err := webhook.NewHook(webhook.HookConfig{Registerer: s.reg})
		return err
	}
	secret, err := os.ReadFile(h.BeforeMessageSecretFile)
	if err != nil {
		return &chat.Error{Kind: chat.Invalid, Op: "server.before", Err: err, Text: "webhooks.before_message_secret_file cannot be read"}
	}
	s.before, err = webhook.NewHook(webhook.HookConfig{
		URL: h.BeforeMessage, Secret: strings.TrimSpace(string(secret)), Deployment: deployment,
		Timeout: time.Duration(h.BeforeMessageTimeout), FailOpen: h.BeforeMessageFailure == "open",
		Allow: s.cfg.HookNetworks(), Version: s.version, Log: s.log, Registerer: s.reg,
	})
	if err != nil {
		return &chat.Error{Kind: chat.Invalid, Op: "server.before", Err: err, Text: "webhooks.before_message_secret_file: " + chat.Public(err).Text}
	}
	s.onClose(s.before.Close)
	return nil
}

// beforeMessage is what the engine asks about messages; nil: nothing.
func (s *Server) beforeMessage() func(context.Context, *engine.Before) error {
	if s.before == nil {
		return nil
	}
	return s.before.Before
}
