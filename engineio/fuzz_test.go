package engineio

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/websocket"
)

// decodeAll decodes a body and checks what holds for every body.
func decodeAll(t *testing.T, version int, binary bool, body []byte) (packets []packet, err error) {
	size := 0
	err = decodePayload(version, binary, body, func(p packet) error {
		p.data = bytes.Clone(p.data)
		packets = append(packets, p)
		size += len(p.data)
		return nil
	})
	if size > len(body) || len(packets) > maxPackets || (err != nil && err != errPacket) {
		t.Fatalf("%d bytes gave %d packets of %d bytes, %v", len(body), len(packets), size, err)
	}
	return packets, err
}

func framesOf(version int, packets []packet) (frames []byte) {
	for _, p := range packets {
		if p.binary {
			frames = appendBinary(frames, version, p.data)
		} else {
			frames = appendPacket(frames, p.kind, string(p.data))
		}
	}
	return frames
}

func same(a, b packet) bool {
	return a.kind == b.kind && a.binary == b.binary && bytes.Equal(a.data, b.data)
}

// Whatever decodes can be encoded and decodes to the same again, in every form.
func FuzzPayload(f *testing.F) {
	for _, s := range []string{
		"4hello", "4a\x1e4b\x1ebAQIDBA==", "2\x1e3\x1e6", "\x1e", "b", "4\xff", "",
		"6:4hello", "2:4a2:4b10:b4AQIDBA==", "3:4😀", "0:1:2", "1:2:", "b4", "999999999:4",
		"\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04", "\x00\x01\xff4", "\x01\x00\xff", "\x00\x09\x09\x09\xff",
	} {
		f.Add(true, false, []byte(s))
		f.Add(false, false, []byte(s))
		f.Add(false, true, []byte(s))
	}
	f.Fuzz(func(t *testing.T, four, binary bool, body []byte) {
		version := 3
		if four {
			version, binary = 4, false
		}
		packets, err := decodeAll(t, version, binary, body)
		if err != nil || len(packets) == 0 {
			return
		}
		for _, asText := range []bool{true, false} {
			encoded, records := encodePayload(version, asText, nil, framesOf(version, packets))
			again, err := decodeAll(t, version, records, encoded)
			if err != nil || !slices.EqualFunc(again, packets, same) {
				t.Fatalf("%q became %q: %v, want %v (%v)", body, encoded, again, packets, err)
			}
		}
	})
}

// newTestServer is an echo server without a network.
func newTestServer(tb testing.TB) *Server {
	s := New(echo{}, Options{MaxPayload: 1 << 16})
	tb.Cleanup(func() { s.Close(tb.Context()) })
	return s
}

type echo struct{}

func (echo) Open(*Socket)                 {}
func (echo) Message(s *Socket, m Message) { s.Send(m) }
func (echo) Close(*Socket, string)        {}

// Every query is answered, and only a right one with a session.
func FuzzHandshakeQuery(f *testing.F) {
	for _, q := range []string{
		"EIO=4&transport=polling", "EIO=3&transport=polling&b64=1", "EIO=3&transport=polling&j=0&t=abc", "EIO=4&transport=websocket",
		"transport=polling", "EIO=abc&transport=polling", "EIO=4&transport=polling&sid=x", "EIO=4&EIO=3&transport=polling",
		"EIO=4&transport=polling&j=%22);alert(1)", "EIO=3&transport=polling&j=1);alert(1", "%", ";", "EIO=4&transport=polling&sid=",
	} {
		f.Add(q, "GET")
		f.Add(q, "POST")
	}
	s := newTestServer(f)
	f.Fuzz(func(t *testing.T, raw, method string) {
		if method != "GET" && method != "POST" && method != "OPTIONS" {
			return
		}
		r := httptest.NewRequest(method, "/", nil)
		r.URL.RawQuery = raw
		before := s.Stats().Sockets
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		q, refused := parseQuery(raw)
		good := refused == nil && method == "GET" && q.version != 0 && q.transport == polling && q.sid == ""
		if ok := w.Code == 200 && s.Stats().Sockets == before+1; ok != good || !ok && w.Code != 400 {
			t.Fatalf("%s %q: %d %s", method, raw, w.Code, w.Body)
		}
		if !good {
			return
		}
		if strings.Trim(q.jsonp, "0123456789") != "" {
			t.Fatalf("callback %q", q.jsonp)
		}
		s.mu.Lock()
		for _, sock := range s.sockets {
			defer sock.end(pingTimeout)
		}
		s.mu.Unlock()
	})
}

// Every body is answered, a good one is echoed whole and in order, and a bad
// one ends the session.
func FuzzPollingBody(f *testing.F) {
	for _, s := range []string{"4hello", "4a\x1e4b\x1ebAQIDBA==", "1", "4a\x1e1\x1e4b", "2", "3", "abc", "2:4a1:1", "1:2", "d=2:4a", "\x00\x01\xff4"} {
		for i := range 4 {
			f.Add(uint8(i), []byte(s))
		}
	}
	s := newTestServer(f)
	f.Fuzz(func(t *testing.T, form uint8, body []byte) {
		query, binary, version := "EIO=4&transport=polling", form%4 == 2, 4
		if form%4 > 0 {
			query, version = "EIO=3&transport=polling&b64=1", 3
		}
		if form%4 == 3 {
			query += "&j=0"
		}
		r := httptest.NewRequest("GET", "/?"+query, nil)
		q, _ := parseQuery(r.URL.RawQuery)
		sock := newSocket(s, r, q)
		if s.enter(sock) != nil {
			t.Fatal("not let in")
		}
		sock.opened()
		defer func() {
			sock.end(pingTimeout)
			s.leave(sock)
		}()
		r = httptest.NewRequest("POST", "/?"+query+"&sid="+sock.id, bytes.NewReader(body))
		if binary {
			r.Header.Set("Content-Type", "application/octet-stream")
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 400 && w.Code != 413 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if ended := sock.ended.Load(); w.Code == 413 && ended || w.Code == 400 && !ended {
			t.Fatalf("%d and ended: %v", w.Code, ended)
		}
		if w.Code != 200 || form%4 == 3 {
			return
		}
		var want []packet
		second := false // it has proven to be a client 2
		packets, err := decodeAll(t, version, binary, body)
		for _, p := range packets {
			if p.kind == kindClose {
				break
			}
			if p.kind == kindMessage {
				if form%4 == 1 && !p.binary && !second {
					text, twice := undouble(p.data)
					second = !twice && !ascii(text)
					p.data = text
				}
				want = append(want, p)
			} else if p.kind == kindPing {
				want = append(want, packet{kind: kindPong})
			}
		}
		var got []packet
		for frames := sock.queue.take(); len(frames) > 0; {
			op, p, rest := nextFrame(frames)
			frames = rest
			decode := decodeText
			if op == websocket.Binary {
				decode = decodeBinary
			}
			x, err := decode(version, p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, x)
		}
		if !slices.EqualFunc(got, want, same) {
			t.Fatalf("%q (%v): got %v, want %v", body, err, got, want)
		}
	})
}

// A stream of frames that is queued in pieces, with frames of the socket's own
// and polls in between, comes out whole and in order.
func FuzzQueue(f *testing.F) {
	f.Add([]byte{3, 0, 200, 1, 130}, []byte{1, 2, 0, 5, 255, 1, 7})
	f.Add([]byte{125, 126, 127, 255}, []byte{1, 1, 1, 1, 0, 0, 254})
	f.Fuzz(func(t *testing.T, sizes, cuts []byte) {
		var stream, want, got []byte
		for i, n := range sizes {
			k := int(n) * (1 + i%3*300) // all forms of header
			stream = AppendFrame(stream, bytes.Repeat([]byte{'a' + byte(i%26)}, k))
		}
		want = stream
		var q queue
		own := 0
		collect := func() {
			for frames := q.take(); len(frames) > 0; {
				_, p, rest := nextFrame(frames)
				if p[0] == byte(kindPing) {
					own--
				} else {
					got = append(got, frames[:len(frames)-len(rest)]...)
				}
				frames = rest
			}
		}
		for i, c := range append(cuts, 255) {
			n := min(int(c)*int(1+i%5*50), len(stream))
			if i == len(cuts) {
				n = len(stream)
			}
			if k, err := q.add([][]byte{stream[:n/2], stream[n/2 : n]}, 1<<30); k != n || err != nil {
				t.Fatal(k, n, err)
			}
			stream = stream[n:]
			switch c % 3 {
			case 0:
				*q.appendTo() = append(*q.appendTo(), pingFrame...)
				own++
			case 1:
				collect()
			}
		}
		collect()
		if q.cut.inside() || q.size() != 0 || own != 0 || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes of %d, %d left, %d own", len(got), len(want), q.size(), own)
		}
	})
}

// Escaped JSON is ASCII and means the same.
func FuzzEscapeJSON(f *testing.F) {
	for _, s := range []string{"hello", "é☃😀", "\u2028\"", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plain, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		escaped := EscapeJSON(nil, plain)
		var want, got string
		if json.Unmarshal(plain, &want) != nil || json.Unmarshal(escaped, &got) != nil || got != want || utf16Len(escaped) != len(escaped) {
			t.Fatalf("%q became %q", plain, escaped)
		}
	})
}
