package server

import (
	"net"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// silent is a link without a client that takes everything.
type silent struct{}

func (silent) TryWrite(bufs net.Buffers) (n int, err error) {
	for _, b := range bufs {
		n += len(b)
	}
	return n, nil
}
func (silent) WaitWritable(time.Duration) error { return nil }
func (silent) Close(chat.Goodbye)               {}

// lines is an encoding that is not read.
type lines struct{}

func (lines) AppendEvent(dst []byte, _ *chat.Event) []byte { return append(dst, '\n') }
func (lines) AppendGap(dst []byte, _ chat.RoomID, _ chat.Rev, _ chat.GapReason) []byte {
	return append(dst, '\n')
}
