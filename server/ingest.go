package server

import (
	"cmp"
	"context"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/ingest"
	"github.com/roomtide/roomtide/ingest/natsingest"
	"github.com/roomtide/roomtide/ingest/redisingest"
	"github.com/roomtide/roomtide/wire"
)

// openIngest begins to read the queues that are configured.
func (s *Server) openIngest() error {
	sources, err := s.sources()
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return nil
	}
	metrics := ingest.NewMetrics(s.reg)
	for name, source := range sources {
		r := ingest.Start(ingest.Config{Name: name, Source: source, Prepare: s.prepareEntry, Log: s.log, Metrics: metrics})
		s.readers = append(s.readers, r)
		s.onClose(func() { r.Close(closed) })
	}
	return nil
}

// closed is for what is to end at once.
var closed = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// closeIngest leaves the queues to other nodes, and to the next start. It takes a quarter of
// the drain timeout at most: an entry whose lane has no database may have no outcome at all,
// stays in its queue, and is a repeat there, while what is closed next still has work to save.
func (s *Server) closeIngest(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(s.cfg.DrainTimeout)/4)
	defer cancel()
	for _, r := range s.readers {
		r.Close(ctx)
	}
}

// sources are the queues that are configured, by their name in logs and metrics.
func (s *Server) sources() (map[string]ingest.Source, error) {
	sources := map[string]ingest.Source{}
	for name, cfg := range redisQueues(s.cfg) {
		source, err := redisingest.New(cfg)
		if err != nil {
			return nil, err
		}
		sources[name] = source
	}
	if n := s.cfg.Ingest.NATS; len(n.Subjects) > 0 {
		source, err := natsingest.New(natsingest.Config{
			NATS: s.peers.link.NATS(), Stream: n.Stream, Subjects: n.Subjects,
			Replicas: s.cfg.Queue.Replicas, MaxEntry: s.cfg.Limits.FrameBytes,
		})
		if err != nil {
			return nil, err
		}
		sources["nats"] = source
	}
	return sources, nil
}

// redisQueues are the queues in Redis, by name. The settings were checked.
func redisQueues(cfg *config.Config) map[string]redisingest.Config {
	queues := map[string]redisingest.Config{}
	url, err := cfg.IngestRedisURL()
	if err != nil || url == "" {
		return queues
	}
	add := func(name, key string, list bool) {
		if key != "" {
			queues[name] = redisingest.Config{URL: url, Key: key, List: list, Node: cfg.Node, MaxEntry: cfg.Limits.FrameBytes}
		}
	}
	add("redis_list", cfg.Ingest.Redis.List, true)
	add("redis_stream", cfg.Ingest.Redis.Stream, false)
	return queues
}

// prepareEntry reads an entry of a queue: a message that the host's back end sends, as
// with POST /v1/messages. Its key is the entry's id unless it has one.
func (s *Server) prepareEntry(e ingest.Entry) (ingest.Message, error) {
	if e.Size > len(e.Data) {
		return ingest.Message{}, chat.E(chat.TooLarge, "the entry is larger than limits.frame_bytes")
	}
	p, err := wire.DecodePosting(e.Data)
	if err != nil {
		return ingest.Message{}, err
	}
	if p.User != "" {
		if err := chat.CheckID("user", string(p.User), s.cfg.Limits.IDBytes); err != nil {
			return ingest.Message{}, err
		}
		s.verifier.Speaks(p.User)
	}
	if p.Key == "" {
		p.Key = e.ID
	}
	actor := engine.Actor{User: p.User, Server: true}
	return ingest.Message{Room: p.Room, Send: func(ctx context.Context, done func(bool, error)) {
		s.engine.Post(ctx, engine.Sending{Actor: actor, Send: engine.Posted(&p)}, func(r change.Reply, err error) { done(r.Repeated, err) })
	}}, nil
}

// PingIngest asks the Redis that has queues of messages whether it lets this program in.
// It reports false if there are none.
func PingIngest(ctx context.Context, cfg *config.Config) (there bool, err error) {
	for _, queue := range redisQueues(cfg) {
		there, err = true, cmp.Or(err, redisingest.Ping(ctx, queue))
	}
	return there, err
}
