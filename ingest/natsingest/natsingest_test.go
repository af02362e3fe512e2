package natsingest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/ingest"
	"github.com/roomtide/roomtide/ingest/ingesttest"
	"github.com/roomtide/roomtide/ingest/natsingest"
	"github.com/roomtide/roomtide/internal/testnats"
)

func withJetStream(o *server.Options) { o.JetStream = true }

func TestSuite(t *testing.T) {
	servers := testnats.Start(t, 1, withJetStream)
	ingesttest.Run(t, func(t *testing.T) ingesttest.Queue {
		name := strings.NewReplacer("/", "_", " ", "_", ",", "").Replace(t.Name())
		nc := servers.Connect(0)
		j, err := js.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		conns := map[ingest.Source]func(){}
		cfg := natsingest.Config{NATS: nc, Stream: name, Subjects: []string{name + ".send"}, Life: 3 * time.Second}
		first, err := natsingest.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := first.Read(t.Context(), 0); err != nil { // makes the streams, and ends
			t.Fatal(err)
		}
		return ingesttest.Queue{
			Put: func(data string) {
				if _, err := j.Publish(t.Context(), name+".send", []byte(data)); err != nil {
					t.Fatal(err)
				}
			},
			Open: func(string) ingest.Source {
				cfg, nc := cfg, servers.Connect(0)
				cfg.NATS = nc
				s, err := natsingest.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				conns[s] = nc.Close
				return s
			},
			Die:    func(s ingest.Source) { conns[s]() },
			Left:   func() int { return int(messages(t, j, name)) },
			Failed: func() ([]string, []string, []string) { return kept(t, j, natsingest.FailedStream(name)) },
			Takes:  8 * time.Second,
		}
	})
}

func messages(t *testing.T, j js.JetStream, stream string) uint64 {
	t.Helper()
	s, err := j.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func kept(t *testing.T, j js.JetStream, stream string) (entries, codes, why []string) {
	t.Helper()
	s, err := j.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	for seq := range s.CachedInfo().State.LastSeq {
		m, err := s.GetMsg(t.Context(), seq+1)
		if err != nil {
			t.Fatal(err)
		}
		entries, codes = append(entries, string(m.Data)), append(codes, m.Header.Get(natsingest.HeaderCode))
		why = append(why, m.Header.Get(natsingest.HeaderReason))
	}
	return entries, codes, why
}

// A reader whose consumer has ended, as when it has another leader, is none until it has
// claimed it anew: what it had and has not done then comes first.
func TestReaderWhoseConsumerEnds(t *testing.T) {
	servers := testnats.Start(t, 1, withJetStream)
	j, err := js.New(servers.Connect(0))
	if err != nil {
		t.Fatal(err)
	}
	open := func() ingest.Source {
		s, err := natsingest.New(natsingest.Config{NATS: servers.Connect(0), Stream: "s", Subjects: []string{"s.send"}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first, second := open(), open()
	if _, err := first.Read(t.Context(), 0); err != nil { // makes the stream
		t.Fatal(err)
	}
	for _, data := range []string{"1", "2"} {
		if _, err := j.Publish(t.Context(), "s.send", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	reads := func(s ingest.Source) {
		t.Helper()
		var got []ingest.Entry
		for err := error(nil); len(got) == 0; {
			if got, err = s.Read(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		if string(got[0].Data) != "1" {
			t.Errorf("%s is read first", got[0].Data)
		}
	}
	reads(first)
	if err := j.DeleteConsumer(t.Context(), "s", "roomtide"); err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil; {
		_, err = first.Read(t.Context(), 1)
	}
	if !errors.Is(err, ingest.ErrElsewhere) {
		t.Error(err)
	}
	reads(second)
	if got, err := first.Read(t.Context(), 1); len(got) > 0 || err != nil {
		t.Errorf("beside the reader: %v, %v", got, err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	reads(first)
}

// A reader that wants nothing asks on, and so stays the reader, also while an entry that it
// was given is ready.
func TestReaderThatIsFullAsks(t *testing.T) {
	servers := testnats.Start(t, 1, withJetStream)
	nc := servers.Connect(0)
	j, err := js.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := natsingest.New(natsingest.Config{NATS: nc, Stream: "s", Subjects: []string{"s.send"}, Life: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	read := func(most int) []ingest.Entry {
		t.Helper()
		got, err := s.Read(t.Context(), most)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	read(0) // makes the stream
	for _, data := range []string{"1", "2"} {
		if _, err := j.Publish(t.Context(), "s.send", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	for len(read(1)) == 0 {
	}
	for end := time.Now().Add(20 * time.Second); ; {
		read(0)
		c, err := j.Consumer(t.Context(), "s", "roomtide")
		if err != nil {
			t.Fatal(err)
		}
		if at := c.CachedInfo(); at.NumAckPending == 2 && at.NumWaiting > 0 { // 2 is ready, and there is a request
			break
		}
		if time.Now().After(end) {
			t.Fatalf("nothing is asked for: %+v", c.CachedInfo())
		}
	}
	if got := read(1); len(got) != 1 || string(got[0].Data) != "2" {
		t.Errorf("what was ready is read as %v", got)
	}
}

// What is wrong is said in words.
func TestWithoutJetStream(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	s, err := natsingest.New(natsingest.Config{NATS: servers.Connect(0), Stream: "s", Subjects: []string{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), 1); chat.KindOf(err) != chat.Unavailable || !strings.Contains(chat.Public(err).Text, "no JetStream") {
		t.Error(err)
	}
}
