// Command socketio-echo serves Socket.IO, or with -engine bare Engine.IO, and
// sends back what it gets. It is an example of both packages and the server
// that the official test suites of both protocols run against.
//
// On "/" and "/custom" the event auth tells the client what it joined with. On
// "/" message comes back as message-back, and message-with-ack as its ack, with
// the same arguments.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/socketio"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "socketio-echo:", err)
		os.Exit(1)
	}
}

func run() error {
	var engine engineio.Options
	listen := flag.String("listen", "127.0.0.1:3000", "address to listen on")
	path := flag.String("path", "/socket.io/", "path to serve Socket.IO at")
	bare := flag.Bool("engine", false, "serve Engine.IO without Socket.IO instead, at /engine.io/")
	flag.DurationVar(&engine.PingInterval, "ping-interval", 25*time.Second, "time between two pings")
	flag.DurationVar(&engine.PingTimeout, "ping-timeout", 20*time.Second, "time to answer a ping")
	flag.IntVar(&engine.MaxPayload, "max-payload", 1_000_000, "bytes of one message")
	connect := flag.Duration("connect-timeout", 45*time.Second, "time to join a namespace")
	recovery := flag.Bool("recovery", false, "let clients recover their state for two minutes")
	flag.Parse()

	// An echo has nothing to protect; other servers name their pages.
	engine.CORS = func(string) bool { return true }
	engine.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	var handler server
	if *bare {
		handler = engineio.New(echo{}, engine)
		*path = "/engine.io/"
	} else {
		o := socketio.Options{Engine: engine, ConnectTimeout: *connect}
		if *recovery {
			o.Recovery.Window = 2 * time.Minute
		}
		handler = newSocketIO(o)
	}
	return serve(*listen, *path, handler)
}

// server is what both packages make.
type server interface {
	http.Handler
	Close(context.Context) error
}

// serve serves until the process is asked to stop.
func serve(addr, path string, h server) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(path, h)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	fmt.Printf("listening on http://%s%s\n", ln.Addr(), path)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(h.Close(ctx), srv.Shutdown(ctx))
}

// echo is bare Engine.IO.
type echo struct{}

func (echo) Open(*engineio.Socket)                          {}
func (echo) Message(s *engineio.Socket, m engineio.Message) { note(s.Send(m)) }
func (echo) Close(s *engineio.Socket, reason string)        { slog.Debug("closed", "reason", reason) }

// newSocketIO sets the namespaces up.
func newSocketIO(o socketio.Options) *socketio.Server {
	io := socketio.New(o)
	tell := func(s *socketio.Socket) { note(s.Emit("auth", s.Auth())) }
	io.Of("/custom").OnConnect(tell)
	root := io.Of("/")
	root.OnConnect(tell)
	root.On("message", func(s *socketio.Socket, e *socketio.Event) {
		e.Name = "message-back"
		note(s.Send(e.Message))
	})
	root.On("message-with-ack", func(s *socketio.Socket, e *socketio.Event) { note(e.Reply(e.Message)) })
	return io
}

// note logs what could not be sent. The client is gone, or about to be.
func note(err error) {
	if err != nil {
		slog.Info("not sent", "err", err)
	}
}
