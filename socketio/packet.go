package socketio

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// Type is the type of a packet. A packet with attachments has another digit on
// the wire (5 for an event, 6 for an ack) and the same Type.
type Type uint8

const (
	TypeConnect      Type = 0 // the client joins a namespace, or the server's acceptance
	TypeDisconnect   Type = 1 // the sender leaves a namespace
	TypeEvent        Type = 2
	TypeAck          Type = 3 // the answer to an event with an id
	TypeConnectError Type = 4 // the server refuses; ERROR in protocol 4

	wireBinaryEvent = 5
	wireBinaryAck   = 6
)

// Limits of the codec. What passes one of them is not a packet.
const (
	MaxAttachments = 10      // of one packet
	MaxArgs        = 1000    // of one event or ack, the name not counted
	MaxNamespace   = 256     // bytes
	MaxQuery       = 8 << 10 // bytes, of a CONNECT of protocol 4
	MaxID          = 1<<53 - 1
)

// PacketError is the reason why something is not a packet or cannot become one. It
// quotes nothing of what was received.
type PacketError struct{ Reason string }

func (e *PacketError) Error() string { return "socketio: " + e.Reason }

func bad(reason string) error { return &PacketError{reason} }

// Packet is what the two sides send each other, one Engine.IO message and its
// attachments.
type Packet struct {
	Type      Type
	Namespace string // "/" is the main one
	Query     string // protocol 4 only: behind the namespace of a CONNECT
	ID        uint64 // of an event that wants an ack, and of the ack
	HasID     bool

	Data    json.RawMessage // of CONNECT and CONNECT_ERROR; nil is none
	Message                 // of EVENT and ACK
}

// Message is the content of an event or, without a name, of an ack.
//
// Args are the JSON texts that were received, byte for byte. Binary arguments
// are in Attachments, and the Args hold {"_placeholder":true,"num":N} where
// Attachments[N] belongs. A Message that was passed on must not be changed any more.
type Message struct {
	Name        string
	Args        []json.RawMessage
	Attachments [][]byte
}

// NewMessage makes a message from Go values: a []byte becomes an attachment, and so
// does a Binary wherever it is inside of a value; a json.RawMessage stays as it is, anything else is marshalled by encoding/json
// (without escaping HTML).
func NewMessage(name string, args ...any) (Message, error) {
	m := Message{Name: name}
	if len(args) > 0 {
		m.Args = make([]json.RawMessage, len(args))
	}
	for i, a := range args {
		var err error
		switch a := a.(type) {
		case []byte:
			m.Args[i] = Placeholder(len(m.Attachments))
			m.Attachments = append(m.Attachments, a)
		case json.RawMessage:
			m.Args[i] = a
		default:
			var text []byte
			if text, err = marshal(a); err == nil {
				m.Args[i], err = m.attach(text)
			}
		}
		if err != nil {
			return Message{}, err
		}
	}
	return m, nil
}

// Attachment returns the binary value of Args[i], and false when that argument is something else.
func (m *Message) Attachment(i int) ([]byte, bool) {
	if i < 0 || i >= len(m.Args) || len(m.Attachments) == 0 {
		return nil, false
	}
	for n, a := range m.Attachments {
		if string(m.Args[i]) == string(Placeholder(n)) {
			return a, true
		}
	}
	return nil, false
}

// reserved are the names that clients and servers use for events of their own.
var reserved = []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}

// check reports why m cannot be sent, as an event or as an ack.
func (m *Message) check(t Type) error {
	switch {
	case t == TypeEvent && slices.Contains(reserved, m.Name):
		return bad("the event name is reserved")
	case !utf8.ValidString(m.Name):
		return bad("the event name is not UTF-8")
	case len(m.Args) > MaxArgs:
		return bad("too many arguments")
	case len(m.Attachments) > MaxAttachments:
		return bad("too many attachments")
	}
	for _, a := range m.Args {
		if !json.Valid(a) || !utf8.Valid(a) {
			return bad("an argument is not JSON")
		}
	}
	if len(m.Attachments) == 0 {
		return nil
	}
	return checkPlaceholders(m.Args, len(m.Attachments))
}

// checkNamespace reports why a namespace cannot have this name.
func checkNamespace(name string) error {
	switch {
	case !strings.HasPrefix(name, "/"):
		return bad("the name of a namespace begins with a slash")
	case len(name) > MaxNamespace:
		return bad("the name of the namespace is too long")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == ',' || r == '?' }):
		return bad("the name of the namespace holds a forbidden character")
	}
	return nil
}
