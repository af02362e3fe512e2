package embednats

import (
	"errors"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"

	"github.com/roomtide/roomtide/chat"
)

// catchUp is how long a server that starts waits for what was written without it.
const catchUp = 30 * time.Second

// Ready is why the server takes no part in JetStream, nil if it does.
func (s *Server) Ready() error {
	status := s.natsd.Healthz(&natsd.HealthzOptions{JSMetaOnly: true})
	if status.Error != "" {
		return &chat.Error{Kind: chat.Unavailable, Op: "embednats.ready", Text: "JetStream is not ready: a majority of the servers must run, all of them at the very first start", Err: errors.New(status.Error)}
	}
	return nil
}

// CaughtUp is why the next server should not be stopped yet when servers are replaced in
// turn: this one does not have all that was written while it was away, so that with two of
// three servers only one would. It is nil from then on until Close, and 30 s behind the
// start in any case: without the others a server never catches up.
func (s *Server) CaughtUp() error {
	if s.caught.Load() {
		return nil
	}
	return chat.E(chat.Unavailable, "the NATS server of this process does not have yet what the others have written")
}

// lookCaughtUp looks whether the server has all that its copies should have, and gives up
// if it is late.
func (s *Server) lookCaughtUp(late bool) {
	status := s.natsd.Healthz(&natsd.HealthzOptions{})
	if status.Error != "" && !late {
		return
	}
	if status.Error != "" {
		s.log.Warn("the NATS server of this process has not caught up with the others, and is not waited for any more", "err", status.Error)
	}
	s.caught.Store(true)
}
