package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// The senders that stay connected during a storm are a process of their own, so that
// their latencies are those of the server and not of the busy process that makes the
// storm. The two processes communicate over stdin and stdout: a line in, a JSON
// object out.

// stayOrder is the task of the process, on its command line.
type stayOrder struct {
	Scenario Scenario
	Addr     string
	Prefix   string
}

// stayReport is its output: once when its senders are at work, and once for each
// line, about the phase that ends there.
type stayReport struct {
	Ack       Latency
	Sent      []int64 // by room; in the last report
	Acked     int64
	Anomalies Anomalies
}

// stay is the process. It ends with its stdin.
func stay(ctx context.Context, order string, in io.Reader, out io.Writer) error {
	var o stayOrder
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		return fmt.Errorf("bench: what to do: %w", err)
	}
	l := newLoad(o.Scenario, o.Addr, "")
	l.prefix, l.role = o.Prefix, "stayer"
	defer l.close()
	if err := l.connect(ctx); err != nil {
		return err
	}
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		l.work(ctx, time.Hour)
	}()
	enc := json.NewEncoder(out)
	if err := enc.Encode(&stayReport{}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		f := l.figures.Swap(new(figures))
		r := &stayReport{Ack: f.ack.latency()}
		if lines.Text() == "stop" {
			close(l.enough)
			<-worked
			for i := range l.sent {
				r.Sent = append(r.Sent, l.sent[i].Load())
			}
			r.Acked, r.Anomalies = l.acks.Load(), l.anomalies()
		}
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// stayers is the process as seen from the storm.
type stayers struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *json.Decoder
	errs tail
}

// startStayers returns when the senders are at work.
func startStayers(l *load) (*stayers, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := l.s
	s.Storm, s.Rooms, s.Members = false, l.s.Senders, 1
	order, err := json.Marshal(&stayOrder{Scenario: s, Addr: l.addr, Prefix: l.prefix})
	if err != nil {
		return nil, err
	}
	t := &stayers{cmd: exec.Command(self, "bench", "--stay", string(order))}
	t.cmd.Stderr = &t.errs
	dieWithUs(t.cmd)
	if t.in, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.out = json.NewDecoder(out)
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := t.report(); err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

// next ends a phase.
func (t *stayers) next(line string) (*stayReport, error) {
	if _, err := io.WriteString(t.in, line+"\n"); err != nil {
		return nil, fmt.Errorf("the senders that stay have ended (%w): %s", err, t.errs.String())
	}
	return t.report()
}

func (t *stayers) report() (*stayReport, error) {
	r := new(stayReport)
	if err := t.out.Decode(r); err != nil {
		return nil, fmt.Errorf("the senders that stay have ended (%w): %s", err, t.errs.String())
	}
	return r, nil
}

func (t *stayers) end() {
	t.in.Close()
	_ = t.cmd.Wait() // what went wrong was reported
}
