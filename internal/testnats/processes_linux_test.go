package testnats

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A stream of three replicas is there after one server was killed and another paused.
func TestProcesses(t *testing.T) {
	s := StartProcesses(t, 3, Place{})
	// The server that neither stops nor pauses: a client notices a paused one after minutes.
	nc, err := nats.Connect("nats://"+s.Addr(0), nats.IgnoreDiscoveredServers(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	again := func(what string, try func() error) {
		t.Helper()
		var err error
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
			if err = try(); err == nil {
				return
			}
		}
		t.Fatalf("%s: %v", what, err)
	}
	again("making the stream", func() error {
		_, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "s", Subjects: []string{"s"}, Replicas: 3})
		return err
	})
	last := uint64(0)
	publish := func() {
		t.Helper()
		again("publishing", func() error {
			ack, err := js.Publish(t.Context(), "s", []byte("x"))
			if err == nil {
				last = ack.Sequence
			}
			return err
		})
	}
	publish()
	s.Kill(1)
	if n := len(s.Pids()); n != 2 {
		t.Errorf("%d processes run", n)
	}
	publish()
	s.Restart(1)
	s.Settle()
	s.Pause(2)
	publish()
	s.Continue(2)
	if last < 3 {
		t.Errorf("the stream ends with %d", last)
	}
}
