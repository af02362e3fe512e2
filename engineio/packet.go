package engineio

import (
	"encoding/base64"
	"errors"
)

// kind is the type of a packet, as the character it begins with.
type kind byte

const (
	kindOpen    kind = '0'
	kindClose   kind = '1'
	kindPing    kind = '2'
	kindPong    kind = '3'
	kindMessage kind = '4'
	kindUpgrade kind = '5'
	kindNoop    kind = '6'

	// markBase64 begins a binary message in text.
	markBase64 = 'b'
)

// probe is the data of the ping and the pong that try a WebSocket out.
const probeData = "probe"

var errPacket = errors.New("engineio: not a packet")

// packet is one packet from a client. data is a part of what was received.
type packet struct {
	kind   kind
	binary bool
	data   []byte
}

// decodeText reads a packet from text, which is UTF-8.
func decodeText(version int, b []byte) (packet, error) {
	switch {
	case len(b) == 0:
		return packet{}, errPacket
	case b[0] == markBase64:
		return decodeBase64(version, b[1:])
	case b[0] < byte(kindOpen) || b[0] > byte(kindNoop):
		return packet{}, errPacket
	}
	return packet{kind: kind(b[0]), data: b[1:]}, nil
}

// decodeBase64 reads what stands behind the mark: protocol 3 has the packet type there.
func decodeBase64(version int, b []byte) (packet, error) {
	if version == 3 {
		if len(b) == 0 || kind(b[0]) != kindMessage {
			return packet{}, errPacket
		}
		b = b[1:]
	}
	data, err := base64.StdEncoding.AppendDecode(nil, b)
	if err != nil {
		return packet{}, errPacket
	}
	return packet{kind: kindMessage, binary: true, data: data}, nil
}

// decodeBinary reads a packet from a binary frame or a binary record.
func decodeBinary(version int, b []byte) (packet, error) {
	if version == 3 {
		if len(b) == 0 || b[0] != byte(kindMessage-'0') {
			return packet{}, errPacket
		}
		b = b[1:]
	}
	return packet{kind: kindMessage, binary: true, data: b}, nil
}
