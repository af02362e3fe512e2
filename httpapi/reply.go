package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/roomtide/roomtide/chat"
)

const (
	// smallBody is the size up to which a body is written without further ado.
	smallBody = 16 << 10
	// pieceBytes of a larger one have pieceTime to be taken: 4 KB a second.
	pieceBytes = 32 << 10
	pieceTime  = 8 * time.Second
)

// write writes the answer. A large body counts as held by the hub while its reader
// takes it, and a reader that is too slow loses the connection: how much memory slow
// readers take is bounded.
func (c *call) write(ans answer) error {
	if len(ans.body) <= smallBody {
		writeJSON(c.w, ans.status, ans.body)
		return nil
	}
	if err := c.hold(len(ans.body)); err != nil {
		return err
	}
	defer c.cfg.Hub.Release(len(ans.body))
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(ans.body)))
	c.w.WriteHeader(ans.status)
	rc := http.NewResponseController(c.w)
	for rest := ans.body; len(rest) > 0; {
		piece := rest[:min(len(rest), pieceBytes)]
		_ = rc.SetWriteDeadline(time.Now().Add(c.pieceTime)) // fails only on a connection that is gone; so will the write
		if _, err := c.w.Write(piece); err != nil {
			return nil // the peer is gone, or is now
		}
		rest = rest[len(piece):]
	}
	return nil
}

// hold counts bytes of an answer that waits for its reader, or refuses the answer.
func (c *call) hold(bytes int) error {
	if !c.cfg.Hub.Hold(bytes) {
		return &chat.Error{Kind: chat.Busy, Op: "httpapi.hold", Text: "too many answers wait for their readers", RetryAfter: 1000}
	}
	return nil
}
