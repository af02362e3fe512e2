package engineio

import "github.com/roomtide/roomtide/websocket"

// queue holds what is on its way to the client, as WebSocket frames whatever
// the transport: over WebSocket they are written as they are, over polling they
// are taken whole and turned into a payload, and an upgrade has nothing to do.
type queue struct {
	// out goes first. While polling it begins at a frame, and its end may be a
	// frame that TryWrite has begun.
	out []byte

	// cut is where TryWrite stands.
	cut cutter

	// own are whole frames of the socket that wait until TryWrite has ended its
	// frame. Empty when cut is between two frames.
	own []byte

	// answers are the bytes among these that answer pings.
	answers int
}

func (q *queue) size() int { return len(q.out) + len(q.own) }

// appendTo is where whole frames may be appended.
func (q *queue) appendTo() *[]byte {
	if q.cut.inside() {
		return &q.own
	}
	return &q.out
}

// ended moves what waited for the end of a frame behind it.
func (q *queue) ended() {
	if !q.cut.inside() && len(q.own) > 0 {
		q.out = append(q.out, q.own...)
		q.own = nil
	}
}

// wrote forgets the first n bytes of out. An empty queue keeps no memory: most
// sockets are silent most of the time.
func (q *queue) wrote(n int) {
	if n < len(q.out) {
		q.out = q.out[n:]
		return
	}
	q.out, q.answers = nil, 0
}

// take returns all whole frames. Only while polling.
func (q *queue) take() []byte {
	whole := len(q.out) - int(q.cut.have)
	frames := q.out[:whole:whole]
	q.out = append([]byte(nil), q.out[whole:]...)
	frames = append(frames, q.own...)
	q.own, q.answers = nil, 0
	return frames
}

// whole reports whether take would return anything.
func (q *queue) whole() bool { return len(q.out) > int(q.cut.have) || len(q.own) > 0 }

// add takes bytes of TryWrite until limit is reached. A frame that was begun is
// taken to its end, so that it can be sent.
func (q *queue) add(bufs [][]byte, limit int) (n int, err error) {
	for _, b := range bufs {
		for len(b) > 0 {
			if !q.cut.inside() && q.size() >= limit {
				return n, nil
			}
			k, err := q.cut.next(b)
			if err != nil {
				return n, err
			}
			q.out = append(q.out, b[:k]...)
			q.ended()
			n += k
			b = b[k:]
		}
	}
	return n, nil
}

// bye appends a close frame, unless TryWrite has a frame cut.
func (q *queue) bye(code int) bool {
	if q.cut.inside() {
		return false
	}
	q.out = websocket.AppendClose(q.out, code, "")
	return true
}
