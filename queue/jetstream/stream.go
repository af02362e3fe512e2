package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/roomtide/roomtide/chat"
)

// enough is how many replicas a stream gets where there are as many servers.
const enough = 3

func (q *Queue) maxBytes() int64 {
	if q.cfg.MaxBytes > 0 {
		return q.cfg.MaxBytes
	}
	return defaultMaxBytes
}

// desired is the stream as it is made.
func (q *Queue) desired(replicas int) js.StreamConfig {
	return js.StreamConfig{
		Name: q.name, Subjects: []string{q.subjects()}, Description: "Roomtide: what waits for lanes",
		Retention: js.LimitsPolicy, Storage: js.FileStorage, Discard: js.DiscardNew, Replicas: replicas,
		MaxBytes: q.maxBytes(), MaxMsgs: -1, MaxMsgSize: -1, MaxMsgsPerSubject: -1, MaxConsumers: -1,
		FirstSeq: uint64(time.Now().UnixMicro()),
	}
}

// establish makes the stream, or changes that which is there, and returns what it is.
func (q *Queue) establish(ctx context.Context) (*js.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, q.cfg.timing.answer)
	defer cancel()
	info, err := q.info(ctx)
	if errors.Is(err, js.ErrStreamNotFound) {
		info, err = q.create(ctx)
	}
	if err != nil {
		return nil, q.explainSetup(err)
	}
	if err := q.differs(&info.Config); err != nil {
		return nil, err
	}
	if info, err = q.change(ctx, info); err != nil {
		return nil, err
	}
	return info, q.durable(&info.Config)
}

// errLeaderless is the error of a stream without a quorum: a server that is left answers
// for it nevertheless.
var errLeaderless = errors.New("the stream has no leader")

func (q *Queue) info(ctx context.Context) (*js.StreamInfo, error) {
	stream, err := q.js.Stream(ctx, q.name)
	if err != nil {
		return nil, err
	}
	info := stream.CachedInfo()
	if info.Cluster != nil && info.Cluster.Leader == "" {
		return nil, errLeaderless
	}
	return info, nil
}

// create makes the stream. A cluster that has too few servers may be about to get more:
// one replica is what it gets later. Of nodes that start together one makes it, and the others find
// it.
func (q *Queue) create(ctx context.Context) (*js.StreamInfo, error) {
	replicas := q.cfg.Replicas
	if replicas == 0 {
		replicas = enough
	}
	stream, err := q.js.CreateStream(ctx, q.desired(replicas))
	if q.cfg.Replicas == 0 && tooFew(err) && (codeOf(err) == codeNoReplicas || time.Since(q.began) >= q.cfg.timing.few) {
		stream, err = q.js.CreateStream(ctx, q.desired(1))
	}
	if errors.Is(err, js.ErrStreamNameAlreadyInUse) {
		return q.info(ctx)
	}
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}

// tooFew reports whether there are fewer servers than replicas.
func tooFew(err error) bool {
	return codeOf(err) == codeNoReplicas || codeOf(err) == codeNoPeers && !strings.Contains(err.Error(), "insufficient storage")
}

// differs is an error if the stream that is there cannot be made what it should be
// without a risk for what is in it.
func (q *Queue) differs(c *js.StreamConfig) error {
	for _, s := range []struct {
		setting string
		wrong   bool
		want    string
	}{
		{"storage", c.Storage != js.FileStorage, "file"},
		{"retention", c.Retention != js.LimitsPolicy, "limits"},
		{"persist_mode", c.PersistMode != js.DefaultPersistMode, "default"},
		{"sealed", c.Sealed, "false"},
		{"no_ack", c.NoAck, "false"},
		{"deny_purge", c.DenyPurge, "false"},
		{"mirror", c.Mirror != nil, "none"},
		{"sources", len(c.Sources) > 0, "none"},
		{"subject_transform", c.SubjectTransform != nil, "none"},
		{"num_replicas", q.cfg.Replicas > 0 && c.Replicas > q.cfg.Replicas, fmt.Sprint(q.cfg.Replicas, " (queue.replicas)")},
		{"max_bytes", q.cfg.MaxBytes > 0 && (c.MaxBytes < 0 || c.MaxBytes > q.cfg.MaxBytes), fmt.Sprint(q.cfg.MaxBytes, " (queue.mib)")},
	} {
		if s.wrong {
			return &chat.Error{Kind: chat.Invalid, Op: "queue.open", Subject: q.name,
				Text: fmt.Sprintf("the stream %s has another %s than %s: change it at the NATS servers (nats stream edit), or delete the stream when nothing is in it", q.name, s.setting, s.want)}
		}
	}
	return nil
}

// change makes the stream that is there what it should be. More replicas are asked for
// alone, as the servers may refuse them.
func (q *Queue) change(ctx context.Context, info *js.StreamInfo) (*js.StreamInfo, error) {
	c := info.Config
	if !slices.Contains(c.Subjects, q.subjects()) {
		c.Subjects = append(slices.Clone(c.Subjects), q.subjects())
	}
	if c.MaxBytes >= 0 && c.MaxBytes < q.maxBytes() {
		c.MaxBytes = q.maxBytes()
	}
	c.Discard, c.DiscardNewPerSubject, c.MaxAge, c.MaxMsgs, c.MaxMsgsPerSubject, c.MaxMsgSize = js.DiscardNew, false, 0, -1, -1, -1
	c.AllowDirect = false
	if !sameConfig(&c, &info.Config) {
		stream, err := q.js.UpdateStream(ctx, c)
		if err != nil {
			return nil, q.explainSetup(err)
		}
		q.cfg.Log.Info("the stream of the queue was changed to what it should be", "stream", q.name)
		info = stream.CachedInfo()
	}
	want := q.cfg.Replicas
	if want == 0 {
		want = enough
	}
	if info.Config.Replicas >= want {
		return info, nil
	}
	c.Replicas = want
	stream, err := q.js.UpdateStream(ctx, c)
	if err == nil {
		q.cfg.Log.Info("the queue gets more replicas", "stream", q.name, "replicas", want)
		return stream.CachedInfo(), nil
	}
	if q.cfg.Replicas == 0 && (tooFew(err) || codeOf(err) == codeNoPeers) {
		return info, nil
	}
	return nil, q.explainSetup(err)
}

// sameConfig compares what change may change.
func sameConfig(a, b *js.StreamConfig) bool {
	return slices.Equal(a.Subjects, b.Subjects) && a.MaxBytes == b.MaxBytes && a.Discard == b.Discard &&
		a.DiscardNewPerSubject == b.DiscardNewPerSubject && a.MaxAge == b.MaxAge && a.MaxMsgs == b.MaxMsgs &&
		a.MaxMsgsPerSubject == b.MaxMsgsPerSubject && a.MaxMsgSize == b.MaxMsgSize && a.AllowDirect == b.AllowDirect
}

// durable judges a stream with one replica.
func (q *Queue) durable(c *js.StreamConfig) error {
	if c.Replicas > 1 {
		return nil
	}
	if q.cfg.RequireDurable {
		return &chat.Error{Kind: chat.Invalid, Op: "queue.open", Subject: q.name,
			Text: "require_durable is set, and what waits in the queue is on one NATS server: use three servers with JetStream, or set queue.mode to off"}
	}
	if q.health.alone.CompareAndSwap(false, true) {
		q.cfg.Log.Warn("THE QUEUE IS ON ONE NATS SERVER: what waits in it is lost with the disk of that server; three servers with JetStream keep it on a quorum", "stream", q.name)
	}
	return nil
}
