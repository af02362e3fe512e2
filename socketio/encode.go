package socketio

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/roomtide/roomtide/engineio"
)

// AppendPacket appends the text of a packet. Its attachments follow it as
// binary messages, with nothing but engine packets in between. The packet is
// the caller's to check: NewMessage and Decoder make good ones.
func AppendPacket(dst []byte, p *Packet) []byte {
	dst = appendHead(dst, p)
	if p.Type == TypeEvent || p.Type == TypeAck {
		return appendArray(dst, p)
	}
	return append(dst, p.Data...)
}

// appendHead appends type, number of attachments, namespace and id.
func appendHead(dst []byte, p *Packet) []byte {
	if n := len(p.Attachments); n > 0 {
		dst = append(dst, '0'+byte(p.Type)+3)
		dst = append(strconv.AppendInt(dst, int64(n), 10), '-')
	} else {
		dst = append(dst, '0'+byte(p.Type))
	}
	if (p.Namespace != "/" && p.Namespace != "") || p.Query != "" {
		dst = append(dst, p.Namespace...)
		if p.Query != "" {
			dst = append(append(dst, '?'), p.Query...)
		}
		dst = append(dst, ',')
	}
	if p.HasID {
		dst = strconv.AppendUint(dst, p.ID, 10)
	}
	return dst
}

func appendArray(dst []byte, p *Packet) []byte {
	dst = append(dst, '[')
	if p.Type == TypeEvent {
		dst = appendString(dst, p.Name)
	}
	for i, a := range p.Args {
		if i > 0 || p.Type == TypeEvent {
			dst = append(dst, ',')
		}
		dst = append(dst, a...)
	}
	return append(dst, ']')
}

// AppendEvent appends a whole WebSocket text frame with an event: what
// engineio.Socket.TryWrite takes, the same for all protocol versions. nsp is a
// namespace of the server, args are JSON. For programs that write frames themselves.
func AppendEvent(dst []byte, nsp, name string, args ...[]byte) []byte {
	var scratch [128]byte
	head := appendHead(scratch[:0], &Packet{Type: TypeEvent, Namespace: nsp})
	return appendFrame(dst, appendString(append(head, '['), name), args)
}

// AppendAck appends a whole WebSocket text frame with the ack for Event.AckID.
func AppendAck(dst []byte, nsp string, id uint64, args ...[]byte) []byte {
	var scratch [128]byte
	head := appendHead(scratch[:0], &Packet{Type: TypeAck, Namespace: nsp, ID: id, HasID: true})
	return appendFrame(dst, append(head, '['), args)
}

var comma, bracket = []byte{','}, []byte{']'}

// appendFrame appends a frame with head, the arguments and a closing bracket.
func appendFrame(dst, head []byte, args [][]byte) []byte {
	var few [16][]byte
	parts := append(few[:0], head)
	for i, a := range args {
		if i > 0 || head[len(head)-1] != '[' {
			parts = append(parts, comma)
		}
		parts = append(parts, a)
	}
	return engineio.AppendFrame(dst, append(parts, bracket)...)
}

// appendString appends s as JSON text.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			b, err := marshal(s)
			if err != nil { // a string can always be marshalled
				b = []byte(`""`)
			}
			return append(dst, b...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// marshal is json.Marshal without escaping HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
