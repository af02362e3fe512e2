package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// A client whose commands are refused on and on is ended, whatever they are; fewer
// than that, such as a client makes that joins all its rooms too early, are not a
// reason.
func TestRefusedOnAndOn(t *testing.T) {
	for name, frame := range map[string]string{
		"typing where one is not": `{"type":"typing","room":"nowhere"}`,
		"a bad frame":             `{"type":`,
		"a message":               `{"type":"message","room":"nowhere","message":"x"}`,
		"a question":              `{"type":"members","room":"nowhere"}`,
		"no such command":         `{"type":"dance"}`,
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, true)
			now := time.Unix(1e9, 0)
			n.deps.Now = func() time.Time { return now }
			p := n.connect()
			p.ask(`{"type":"hello","id":1,"user":"ann"}`, "type", "ack")
			go func() { // what is refused is told
				for {
					if _, err := p.in.ReadBytes('\n'); err != nil {
						return
					}
				}
			}()
			said := 0
			for said < 1000 {
				p.say(frame)
				said++
			}
			select {
			case g := <-p.bye:
				t.Fatalf("%s after %d", g.Reason, said)
			default:
			}
			for range 3 {
				p.say(frame)
			}
			if g := <-p.bye; g.Code != chat.ByeFlood.Code {
				t.Errorf("%+v", g)
			}
		})
	}
}

// A client that sends many questions and then reads gets all answers, however large
// they are together: the server reads no further question while a page waits. One
// that does not read is told to, and holds no more than a page.
func TestManyPagesAtOnce(t *testing.T) {
	n := newNode(t, true)
	p := n.connect()
	p.ask(`{"type":"join","id":1,"user":"ann","room":"r"}`, "type", "ack")
	big := "x" + strings.Repeat(`\u0001`, 3999)
	for i := range 12 {
		p.say(fmt.Sprintf(`{"type":"message","id":%d,"room":"r","message":"%s"}`, i+2, big))
	}
	for acks := 0; acks < 12; {
		if p.hear()["type"] == "ack" {
			acks++
		}
	}
	const questions = 30 // more than the socket's buffers take
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range questions {
			p.say(fmt.Sprintf(`{"type":"changes","id":%d,"room":"r","after":1}`, 100+i))
		}
	}()
	for i := 0; i < questions; {
		m := p.hear()
		if m["type"] != "ack" || m["id"] == nil || m["id"].(float64) < 100 {
			continue // the room's events
		}
		if fmt.Sprint(m["id"]) != fmt.Sprint(100+i) {
			t.Fatalf("answer %v, want %d", m["id"], 100+i)
		}
		i++
	}
	<-done
}
