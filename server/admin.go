package server

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/roomtide/roomtide/chat"
)

// AdminSocket is the name of the socket in the data directory on which a node takes
// the orders of operators: the routes of the HTTP API that need the scope admin, from
// those who may open it.
const AdminSocket = "admin.sock"

// openAdmin serves h on the socket, until Close. A node that cannot is of use without
// it: the same routes are on the HTTP API.
func (s *Server) openAdmin(h http.Handler) {
	path := filepath.Join(s.cfg.DataDir, AdminSocket)
	ln, err := listenUnix(path)
	if err != nil {
		s.log.Warn("the admin socket does not work: orders go through the HTTP API, with an API key that has the scope admin", "path", path, "err", err)
		return
	}
	srv := s.newHTTP(h, bodyTime)
	s.onClose(func() { srv.Close() }) // removes the file
	go srv.Serve(ln)                  // ends with Close
}

// listenUnix listens on a socket that the user of this process alone can open. A file
// that is in its place is that of an earlier node: this one holds the lock of the
// directory.
func listenUnix(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, chat.E(chat.Invalid, "the path of the data directory is too long for a socket in it")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// maxSocketPath is what every system has space for.
const maxSocketPath = 100
