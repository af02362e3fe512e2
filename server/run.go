package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// fail ends Run.
func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// URL is where a browser finds the node.
func (s *Server) URL() string {
	scheme := "http"
	if s.cfg.HTTPS() {
		scheme = "https"
	}
	addr := s.listener.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(addr.Port)) + "/"
}

// Run answers until ctx is done, then drains: new work is refused, what was
// accepted is committed and answered, clients are told goodbye. It returns nil
// after that, and an error if the node could not go on.
func (s *Server) Run(ctx context.Context) error {
	go func() {
		var err error
		if s.cfg.HTTPS() {
			err = s.http.ServeTLS(s.listener, "", "") // openFront has the certificate
		} else {
			err = s.http.Serve(s.listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.fail(err)
		}
	}()
	var err error
	select {
	case <-ctx.Done():
		s.log.Info("stopping")
	case err = <-s.failed:
		s.log.Error("stopping", "err", err)
	}
	s.drain()
	return err
}

// drain ends the node's work within the drain timeout.
func (s *Server) drain() {
	s.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.cfg.DrainTimeout))
	defer cancel()
	s.listener.Close()
	s.closeIngest(ctx)
	s.webhooks.Close()  // consumers come and go no more
	s.book.Close()      // users who go now come to another node
	s.mover.Close()     // goes on at the next start; lets go of changes that it holds back
	s.outbox.Close(ctx) // consumers see what was accepted
	s.sender.Close(ctx) // attempts come to their end
	s.leave(ctx)        // other nodes of a cluster take the lanes
	s.lanes.Close()     // commits and answers what was accepted, refuses the rest
	s.socketIO.LetGo()  // clients of other nodes' sessions come back to those
	s.hub.Drain(chat.ByeDraining)
	if err := s.http.Shutdown(ctx); err != nil {
		s.http.Close()
	}
}

// Close undoes Open. It may be called again.
func (s *Server) Close() error {
	s.closing.Do(func() {
		for i := len(s.undo) - 1; i >= 0; i-- {
			s.undo[i]()
		}
	})
	return nil
}
