package engineio

import (
	"bytes"
	"unicode/utf8"
)

// maxPackets bounds the packets of one request body.
const maxPackets = 10_000

// separator stands between the packets of a payload of protocol 4.
const separator = 0x1e

// decodePayload calls each with the packets of a request body until it returns
// an error. binary says that the body is in the binary form of protocol 3.
// Packets in front of a malformed one are handed out.
func decodePayload(version int, binary bool, body []byte, each func(packet) error) error {
	n := 0
	counted := func(p packet, err error) error {
		if n++; err != nil || n > maxPackets {
			return errPacket
		}
		return each(p)
	}
	switch {
	case len(body) == 0:
		return errPacket
	case binary:
		return decodeRecords(body, counted)
	case !utf8.Valid(body):
		return errPacket
	case version == 3:
		return decodeLengths(body, counted)
	}
	return decodeSeparated(body, counted)
}

// decodeSeparated is protocol 4: packets with separators between them.
func decodeSeparated(body []byte, each func(packet, error) error) error {
	for more := true; more; {
		var b []byte
		b, body, more = bytes.Cut(body, []byte{separator})
		if err := each(decodeText(4, b)); err != nil {
			return err
		}
	}
	return nil
}

// maxDigits bounds a length in a payload of protocol 3.
const maxDigits = 9

// decodeLengths is protocol 3: "<length>:<packet>" again and again. A length
// counts UTF-16 code units. Empty packets mean nothing.
func decodeLengths(body []byte, each func(packet, error) error) error {
	for len(body) > 0 {
		digits := bytes.IndexByte(body[:min(len(body), maxDigits+1)], ':')
		if digits <= 0 {
			return errPacket
		}
		units := 0
		for _, c := range body[:digits] {
			if c < '0' || c > '9' {
				return errPacket
			}
			units = units*10 + int(c-'0')
		}
		body = body[digits+1:]
		n, ok := utf16Prefix(body, units)
		if !ok {
			return errPacket
		}
		if n > 0 {
			if err := each(decodeText(3, body[:n])); err != nil {
				return err
			}
		}
		body = body[n:]
	}
	return nil
}

// utf16Prefix returns how many bytes of b are the given number of UTF-16 code
// units. It fails when there are fewer, or when a character would be cut.
func utf16Prefix(b []byte, units int) (n int, ok bool) {
	for units > 0 && n < len(b) {
		r, size := utf8.DecodeRune(b[n:])
		n += size
		units--
		if r > 0xffff {
			units--
		}
	}
	return n, units == 0
}

// utf16Len is the number of UTF-16 code units of b.
func utf16Len(b []byte) int {
	n := 0
	for _, c := range b {
		switch {
		case c >= 0xf0:
			n += 2 // the first of four bytes
		case c&0xc0 != 0x80:
			n++
		}
	}
	return n
}

// Marks of the records in the binary form of protocol 3.
const (
	recordText   = 0
	recordBinary = 1
	recordLength = 255 // ends the length, whose digits are bytes 0 to 9
)

// decodeRecords is the binary form of protocol 3. A length counts bytes.
func decodeRecords(body []byte, each func(packet, error) error) error {
	for len(body) > 0 {
		mark := body[0]
		body = body[1:]
		digits := bytes.IndexByte(body[:min(len(body), maxDigits+1)], recordLength)
		if mark > recordBinary || digits <= 0 {
			return errPacket
		}
		n := 0
		for _, d := range body[:digits] {
			if d > 9 {
				return errPacket
			}
			n = n*10 + int(d)
		}
		if body = body[digits+1:]; n > len(body) {
			return errPacket
		}
		if err := each(decodeRecord(mark, body[:n])); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

func decodeRecord(mark byte, b []byte) (packet, error) {
	switch {
	case mark == recordBinary:
		return decodeBinary(3, b)
	case !utf8.Valid(b):
		return packet{}, errPacket
	}
	return decodeText(3, b)
}
