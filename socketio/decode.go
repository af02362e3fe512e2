package socketio

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// Decoder puts the packets of one connection together. It holds at most one
// packet that waits for attachments. The zero Decoder reads protocol 5.
type Decoder struct {
	Protocol int // 5, or 4 for clients 1 and 2
	MaxBytes int // of all attachments of one packet; 0 is no limit beside that of the transport

	pending *pending
}

// pending is a packet that waits for attachments.
type pending struct {
	packet *Packet
	want   int // how many in all
	bytes  int // of those that came
}

// Text takes a text message. It returns nil when attachments have to follow
// first. The packet keeps parts of text.
func (d *Decoder) Text(text []byte) (*Packet, error) {
	if d.pending != nil {
		return nil, bad("text came where an attachment was due")
	}
	p, attachments, err := decode(text, d.Protocol)
	if err != nil || attachments == 0 {
		return p, err
	}
	d.pending = &pending{packet: p, want: attachments}
	return nil, nil
}

// Binary takes a binary message, which is an attachment. It returns the packet
// with the last of them. The packet keeps data.
func (d *Decoder) Binary(data []byte) (*Packet, error) {
	w := d.pending
	if w == nil {
		return nil, bad("an attachment belongs to no packet")
	}
	w.bytes += len(data)
	if d.MaxBytes > 0 && w.bytes > d.MaxBytes {
		d.pending = nil
		return nil, bad("the attachments are too large")
	}
	w.packet.Attachments = append(w.packet.Attachments, data)
	if len(w.packet.Attachments) < w.want {
		return nil, nil
	}
	d.pending = nil
	return w.packet, nil
}

// Waiting reports whether attachments have to follow.
func (d *Decoder) Waiting() bool { return d.pending != nil }

// decode reads a packet without its attachments, and says how many follow.
func decode(text []byte, protocol int) (p *Packet, attachments int, err error) {
	if len(text) == 0 || !utf8.Valid(text) {
		return nil, 0, bad("the packet is empty or not UTF-8")
	}
	p = &Packet{}
	rest := text[1:]
	switch t := text[0] - '0'; t {
	case wireBinaryEvent, wireBinaryAck:
		p.Type = Type(t) - 3
		if attachments, rest, err = cutAttachments(rest); err != nil {
			return nil, 0, err
		}
	default:
		if p.Type = Type(t); p.Type > TypeConnectError {
			return nil, 0, bad("unknown type of packet")
		}
	}
	if rest, err = p.cutNamespace(rest, protocol); err != nil {
		return nil, 0, err
	}
	if rest, err = p.cutID(rest); err != nil {
		return nil, 0, err
	}
	if err = p.payload(rest, attachments); err != nil {
		return nil, 0, err
	}
	return p, attachments, nil
}

// cutAttachments reads "3-". The limit has two digits, so nothing longer is read.
func cutAttachments(b []byte) (n int, rest []byte, err error) {
	i := 0
	for ; i < len(b) && i < 3 && digit(b[i]); i++ {
		n = n*10 + int(b[i]-'0')
	}
	if i == len(b) || b[i] != '-' || n < 1 || n > MaxAttachments {
		return 0, nil, bad("the number of attachments is not between 1 and 10")
	}
	return n, b[i+1:], nil
}

// cutNamespace reads "/name,". The comma may be missing at the end of the packet.
func (p *Packet) cutNamespace(b []byte, protocol int) (rest []byte, err error) {
	p.Namespace = "/"
	if len(b) == 0 || b[0] != '/' {
		return b, nil
	}
	window := b[:min(len(b), MaxNamespace+MaxQuery+2)]
	name := window
	if end := bytes.IndexByte(window, ','); end >= 0 {
		name, rest = b[:end], b[end+1:]
	} else if len(window) < len(b) {
		return nil, bad("the name of the namespace is too long")
	}
	if protocol == 4 {
		var query []byte
		name, query, _ = bytes.Cut(name, []byte{'?'})
		p.Query = string(query)
	}
	p.Namespace = string(name)
	switch {
	case len(name) > MaxNamespace || len(p.Query) > MaxQuery:
		return nil, bad("the name of the namespace is too long")
	case strings.ContainsFunc(p.Namespace+p.Query, control):
		return nil, bad("the name of the namespace holds a control character")
	}
	return rest, nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

func digit(c byte) bool { return '0' <= c && c <= '9' }

// cutID reads the number that an ack is matched by.
func (p *Packet) cutID(b []byte) (rest []byte, err error) {
	i := 0
	for ; i < len(b) && digit(b[i]); i++ {
		if p.ID = p.ID*10 + uint64(b[i]-'0'); p.ID > MaxID {
			return nil, bad("the id is too large")
		}
	}
	p.HasID = i > 0
	wants := p.Type == TypeEvent || p.Type == TypeAck
	if p.HasID && !wants || !p.HasID && p.Type == TypeAck {
		return nil, bad("an id is missing or out of place")
	}
	return b[i:], nil
}

// payload reads the JSON at the end.
func (p *Packet) payload(b []byte, attachments int) error {
	if len(b) > 0 && !json.Valid(b) {
		return bad("the payload is not JSON")
	}
	b = bytes.TrimSpace(b)
	switch p.Type {
	case TypeConnect:
		if len(b) > 0 && b[0] != '{' {
			return bad("the payload of a CONNECT is not an object")
		}
	case TypeDisconnect:
		if len(b) > 0 {
			return bad("a DISCONNECT has no payload")
		}
	case TypeEvent, TypeAck:
		return p.arguments(b, attachments)
	}
	if len(b) > 0 {
		p.Data = b
	}
	return nil
}

// arguments reads the array of an event or an ack, which is valid JSON.
func (p *Packet) arguments(b []byte, attachments int) error {
	if len(b) == 0 || b[0] != '[' {
		return bad("the payload is not an array")
	}
	args, ok := elements(b, MaxArgs+1)
	if !ok {
		return bad("too many arguments")
	}
	if p.Type == TypeEvent {
		if len(args) == 0 {
			return bad("the event has no name")
		}
		switch c := args[0][0]; {
		case c == '"':
			if err := json.Unmarshal(args[0], &p.Name); err != nil {
				return bad("the name of the event is not a string")
			}
		case c == '-', digit(c):
			p.Name = string(args[0])
		default:
			return bad("the name of the event is neither a string nor a number")
		}
		args = args[1:]
		if slices.Contains(reserved, p.Name) {
			return bad("the name of the event is reserved")
		}
	}
	if len(args) > MaxArgs {
		return bad("too many arguments")
	}
	if len(args) > 0 {
		p.Args = args
	}
	if attachments > 0 {
		return checkPlaceholders(args, attachments)
	}
	return nil
}

// elements splits a JSON array, which is valid, into its elements, without the
// white space around them. It gives up when there are more than limit.
func elements(b []byte, limit int) (list []json.RawMessage, ok bool) {
	b = bytes.TrimSpace(b[1 : len(b)-1])
	if len(b) == 0 {
		return nil, true
	}
	begin, depth, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		case c == ',' && depth == 0:
			if len(list) == limit-1 {
				return nil, false
			}
			list = append(list, bytes.TrimSpace(b[begin:i]))
			begin = i + 1
		}
	}
	return append(list, bytes.TrimSpace(b[begin:])), true
}
