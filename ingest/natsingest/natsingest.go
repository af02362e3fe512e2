// Package natsingest reads messages from subjects of NATS, through a stream of JetStream
// and a durable consumer, which deletes what is done.
//
// The consumer gives entries to one client at a time (its pinned client), and to another
// one when that has ended. That one has the consumer go back to the first entry that is
// not done, so that the order is kept.
package natsingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/ingest"
)

const (
	durable = "roomtide" // name of the consumer
	group   = "node"     // whose pinned client reads

	wait      = time.Second     // for an entry
	answer    = 5 * time.Second // of JetStream, for anything else
	maxUnread = 1000            // entries that are read and not done
	headers   = 4 << 10         // bytes that a message may have besides its data

	maxFailed      = 1000 // entries that could not be sent and are kept
	maxFailedBytes = 64 << 20
	enough         = 3 // replicas where there are as many servers
)

// Headers of an entry that could not be sent.
const (
	HeaderID      = "Roomtide-Id"
	HeaderCode    = "Roomtide-Code"
	HeaderReason  = "Roomtide-Reason"
	HeaderSubject = "Roomtide-Subject"
)

// Config is how a Source is made. NATS, Stream and Subjects are required.
type Config struct {
	NATS     *nats.Conn // stays open, and is the caller's
	Stream   string     // is made, with the subjects, if there is none of the name
	Subjects []string

	Replicas int           // servers that have each entry; 0: 3 where there are as many, else 1
	MaxBytes int64         // of the stream; 0: 1 GiB
	MaxEntry int           // bytes of the largest entry; 0: 64 KiB
	Life     time.Duration // of the claim to be the reader, and after which an entry that is not done is given again; 0: 5 s
}

// Source is an ingest.Source.
type Source struct {
	// Set once.
	cfg Config
	js  js.JetStream

	// Owned by Read.
	consumer js.Consumer     // nil: not asked for yet
	batch    js.MessageBatch // the request that is open; nil: none
	ready    []ingest.Entry  // that have come
	mine     bool            // this client is the pinned one, as far as it knows

	mu   sync.Mutex
	open map[string]js.Msg // entries that were read and are not done, by id; guarded by mu
}

var _ ingest.Source = (*Source)(nil)

// New returns a source, whether or not JetStream answers.
func New(cfg Config) (*Source, error) {
	if cfg.Replicas == 0 {
		cfg.Replicas = enough
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 1 << 30
	}
	if cfg.MaxEntry == 0 {
		cfg.MaxEntry = 64 << 10
	}
	if cfg.Life == 0 {
		cfg.Life = 5 * time.Second
	}
	made, err := js.New(cfg.NATS)
	if err != nil {
		return nil, chat.Wrap(chat.Invalid, "natsingest.New", err)
	}
	return &Source{cfg: cfg, js: made, open: map[string]js.Msg{}}, nil
}

// FailedStream is the stream, and the subject, of entries that could not be sent.
func FailedStream(stream string) string { return stream + "_failed" }

// Read implements ingest.Source.
func (s *Source) Read(ctx context.Context, most int) ([]ingest.Entry, error) {
	if s.consumer == nil {
		if err := s.establish(ctx); err != nil {
			return nil, err
		}
	}
	if !s.mine {
		if err := s.claim(ctx); err != nil || !s.mine {
			return nil, err
		}
	}
	if err := s.request(most); err != nil {
		return nil, err
	}
	if err := s.receive(ctx, most); err != nil {
		return nil, err
	}
	n := min(most, len(s.ready))
	got := s.ready[:n:n]
	s.ready = s.ready[n:]
	return got, nil
}

// claim finds out whether this client is given an entry. If so, it begins with the first
// one that is not done.
func (s *Source) claim(ctx context.Context) error {
	batch, err := s.consumer.Fetch(1, js.FetchMaxWait(wait), js.FetchPriorityGroup(group))
	if err != nil {
		s.consumer = nil
		return s.explain(err)
	}
	select {
	case _, there := <-batch.Messages():
		if !there {
			return s.ended(batch.Error())
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	within, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	if _, err := s.js.ResetConsumer(within, s.cfg.Stream, durable); err != nil {
		return s.explain(err)
	}
	s.mine = true
	return nil
}

// request asks for entries, unless it has. Asking is what keeps this client the reader, so
// it asks for one where none is wanted, also if there are some ready. Those stay few: the
// server gives what is not done for Config.Life again before anything new, and nothing new
// beyond maxUnread.
func (s *Source) request(most int) error {
	if s.batch != nil || most > 0 && len(s.ready) > most {
		return nil
	}
	var err error
	if s.batch, err = s.consumer.Fetch(max(most, 1), js.FetchMaxWait(wait), js.FetchPriorityGroup(group)); err != nil {
		s.batch = nil
		return s.ended(err)
	}
	return nil
}

// receive takes what comes for the request: what is there, and if that is nothing, the
// first that comes. Where none is wanted it does not wait.
func (s *Source) receive(ctx context.Context, most int) error {
	late := time.NewTimer(2 * wait) // nats.go ends the request by then
	defer late.Stop()
	for s.batch != nil {
		select {
		case m, more := <-s.batch.Messages():
			if err := s.take(m, more); err != nil {
				return err
			}
			continue
		default:
		}
		if len(s.ready) > 0 || most == 0 {
			return nil
		}
		select {
		case m, more := <-s.batch.Messages():
			if err := s.take(m, more); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			return nil // the next call takes what has come at the last moment
		}
	}
	return nil
}

// ended is the error of a request that has ended.
func (s *Source) ended(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, js.ErrPinIDMismatch):
		s.forget()
		return ingest.ErrElsewhere
	}
	s.consumer = nil // it may have been deleted, or the stream
	if s.mine {
		// The next consumer does not know this client as the pinned one. If that is another
		// one by then, requests end as if there were no entries: so it has to be claimed anew.
		s.forget()
		return ingest.ErrElsewhere
	}
	return s.explain(err)
}

// take takes a message of the request, or its end.
func (s *Source) take(m js.Msg, more bool) error {
	if !more {
		err := s.batch.Error()
		s.batch = nil
		return s.ended(err)
	}
	meta, err := m.Metadata()
	if err != nil {
		return s.explain(err)
	}
	id := s.cfg.Stream + ":" + strconv.FormatInt(meta.Timestamp.UnixMilli(), 10) + "-" + strconv.FormatUint(meta.Sequence.Stream, 10)
	s.mu.Lock()
	_, again := s.open[id]
	s.open[id] = m // the delivery that counts
	s.mu.Unlock()
	if again {
		return nil
	}
	e := ingest.Entry{ID: id, Data: m.Data(), Size: len(m.Data())}
	if e.Size > s.cfg.MaxEntry {
		e.Data = e.Data[:min(1024, s.cfg.MaxEntry)]
	}
	s.ready = append(s.ready, e)
	return nil
}

// forget forgets what was read: it is another client's.
func (s *Source) forget() {
	s.ready, s.mine = nil, false
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.open)
}

// lookup is the delivery of an entry that is open; nil: there is none.
func (s *Source) lookup(id string) js.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[id]
}

// Done implements ingest.Source. An acknowledgement that is lost is made up for when the
// entry comes again.
func (s *Source) Done(ctx context.Context, ids []string) error {
	for _, id := range ids {
		m := s.lookup(id)
		if m == nil {
			continue
		}
		if err := m.Ack(); err != nil {
			return s.explain(err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	if err := s.cfg.NATS.FlushWithContext(ctx); err != nil {
		return s.explain(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.open, id)
	}
	return nil
}

// Fail implements ingest.Source.
func (s *Source) Fail(ctx context.Context, e ingest.Entry, f ingest.Failure) error {
	m := s.lookup(e.ID)
	if m == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	kept := &nats.Msg{Subject: FailedStream(s.cfg.Stream), Data: m.Data(), Header: nats.Header{}}
	kept.Header.Set(HeaderID, e.ID)
	kept.Header.Set(HeaderCode, f.Code)
	kept.Header.Set(HeaderReason, f.Reason)
	kept.Header.Set(HeaderSubject, m.Subject())
	if _, err := s.js.PublishMsg(ctx, kept, js.WithMsgID(e.ID)); err != nil {
		return s.explain(err)
	}
	return s.Done(ctx, []string{e.ID})
}

// Close implements ingest.Source.
func (s *Source) Close() error {
	if !s.mine {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), answer)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.cfg.Stream)
	if err == nil {
		err = stream.UnpinConsumer(ctx, durable, group)
	}
	return s.explain(err)
}

// establish makes the streams and the consumer, or finds them.
func (s *Source) establish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	stream, err := s.stream(ctx, js.StreamConfig{
		Name: s.cfg.Stream, Subjects: s.cfg.Subjects, Description: "Roomtide: messages to be sent",
		Retention: js.WorkQueuePolicy, Storage: js.FileStorage, Discard: js.DiscardNew, MaxBytes: s.cfg.MaxBytes, MaxMsgSize: int32(s.cfg.MaxEntry + headers),
	})
	if err != nil {
		return s.explain(err)
	}
	name := FailedStream(s.cfg.Stream)
	if _, err := s.stream(ctx, js.StreamConfig{
		Name: name, Subjects: []string{name}, Description: "Roomtide: messages that could not be sent",
		Storage: js.FileStorage, Discard: js.DiscardOld, MaxMsgs: maxFailed, MaxBytes: maxFailedBytes,
	}); err != nil {
		return s.explain(err)
	}
	s.consumer, err = stream.CreateOrUpdateConsumer(ctx, js.ConsumerConfig{
		Durable: durable, FilterSubjects: s.cfg.Subjects, AckPolicy: js.AckExplicitPolicy, AckWait: s.cfg.Life,
		MaxAckPending: maxUnread, MaxDeliver: -1, PriorityPolicy: js.PriorityPolicyPinned, PriorityGroups: []string{group}, PinnedTTL: s.cfg.Life,
	})
	return s.explain(err)
}

// stream makes a stream unless there is one of the name, which is left as it is. A server
// that is alone has no replicas.
func (s *Source) stream(ctx context.Context, cfg js.StreamConfig) (js.Stream, error) {
	found, err := s.js.Stream(ctx, cfg.Name)
	if !errors.Is(err, js.ErrStreamNotFound) {
		return found, err
	}
	for _, cfg.Replicas = range []int{s.cfg.Replicas, 1} {
		found, err = s.js.CreateStream(ctx, cfg)
		var refused *js.APIError
		if !errors.As(err, &refused) || refused.ErrorCode != codeNoReplicas && refused.ErrorCode != codeNoPeers {
			break
		}
	}
	if errors.Is(err, js.ErrStreamNameAlreadyInUse) { // another node was faster
		return s.js.Stream(ctx, cfg.Name)
	}
	return found, err
}

// Codes of JetStream that nats.go has no names for.
const (
	codeNoPeers    js.ErrorCode = 10005 // too few servers
	codeNoReplicas js.ErrorCode = 10074 // the server is alone
)

// explain says in words why NATS fails.
func (s *Source) explain(err error) error {
	if err == nil {
		return nil
	}
	e := &chat.Error{Kind: chat.Unavailable, Op: "ingest.nats", Subject: s.cfg.Stream, Text: "JetStream does not answer", Err: err}
	var refused *js.APIError
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, js.ErrJetStreamNotEnabled), errors.Is(err, js.ErrJetStreamNotEnabledForAccount):
		e.Text = "the NATS servers have no JetStream for this node"
	case errors.As(err, &refused):
		e.Text = fmt.Sprintf("JetStream refuses the stream %s or its consumer: %s", s.cfg.Stream, refused.Description)
	}
	return e
}
