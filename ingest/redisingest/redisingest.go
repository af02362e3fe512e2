// Package redisingest reads messages from a list or a stream of Redis 7.0 or later, or
// Valkey.
//
// The entries of a stream have an id. The elements of a list have none, so they are moved
// to a stream beside the list, by a script: each is in one of the two, whenever the node
// or Redis stops, and has its id from then on. Ids begin with the time, so that those of a
// stream that was made anew are others. An entry that is done is deleted from the stream;
// it is there until then, and needs no consumer group.
//
// A key with a short life says which process reads. It keeps the order of entries; that
// none is lost or sent twice does not depend on it.
package redisingest

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/redis/rueidis"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/ingest"
	"github.com/roomtide/roomtide/internal/redislink"
)

const (
	wait      = time.Second // for an entry
	readBytes = 1 << 20     // that are read at once, unless one entry has more
	maxMoved  = 10_000      // elements of a list that are in its stream
	maxFailed = 1000        // entries that could not be sent and are kept
)

// Config is how a Source is made. URL and Key are required.
type Config struct {
	URL  string // see redislink.Open
	Key  string // of the list or the stream
	List bool   // it is a list
	Node string // name of this node, for those who look into Redis

	MaxEntry int           // bytes of the largest entry; 0: 64 KiB
	Timeout  time.Duration // of one command; 0: 1 s
	Life     time.Duration // of the claim to be the reader; 0: 5 s
}

// Source is an ingest.Source.
type Source struct {
	// Set once.
	cfg    Config
	client rueidis.Client
	name   string // of this process
	stream string

	after string // the entry that Read returned last; owned by Read
}

var _ ingest.Source = (*Source)(nil)

var (
	//go:embed read.lua
	readText string
	//go:embed fail.lua
	failText string
	//go:embed close.lua
	closeText string

	readScript  = rueidis.NewLuaScript(readText)
	failScript  = rueidis.NewLuaScript(failText)
	closeScript = rueidis.NewLuaScript(closeText)
)

// New returns a source, whether or not Redis answers. The error is of the Config.
func New(cfg Config) (*Source, error) {
	cfg.MaxEntry = cmp.Or(cfg.MaxEntry, 64<<10)
	cfg.Timeout = cmp.Or(cfg.Timeout, time.Second)
	cfg.Life = cmp.Or(cfg.Life, 5*time.Second)
	client, err := redislink.Open(cfg.URL, cfg.Timeout)
	if err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, client: client, name: cfg.Node + ":" + rand.Text(), stream: cfg.Key}
	if cfg.List {
		s.stream = cfg.Key + ":taken"
	}
	return s, nil
}

func (s *Source) readerKey() string { return s.cfg.Key + ":reader" }
func (s *Source) failedKey() string { return s.cfg.Key + ":failed" }

// Read implements ingest.Source.
func (s *Source) Read(ctx context.Context, most int) ([]ingest.Entry, error) {
	entries, err := s.read(ctx, most)
	if err != nil || len(entries) > 0 || most == 0 {
		return entries, err
	}
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.read(ctx, most)
}

func (s *Source) read(ctx context.Context, most int) ([]ingest.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	keys := []string{s.readerKey(), s.stream}
	if s.cfg.List {
		keys = append(keys, s.cfg.Key)
	}
	reply, err := readScript.Exec(ctx, s.client, keys, []string{
		s.name, strconv.FormatInt(s.cfg.Life.Milliseconds(), 10), strconv.Itoa(most), s.after,
		strconv.Itoa(s.cfg.MaxEntry), strconv.Itoa(readBytes), strconv.Itoa(maxMoved),
	}).ToArray()
	if err != nil {
		return nil, s.explain(err)
	}
	if len(reply) < 2 {
		s.after = ""
		return nil, ingest.ErrElsewhere
	}
	found, err := reply[1].ToArray()
	if err != nil {
		return nil, s.explain(err)
	}
	entries := make([]ingest.Entry, len(found))
	for i := range found {
		if entries[i], err = s.entry(&found[i]); err != nil {
			return nil, s.explain(err)
		}
	}
	if len(found) > 0 {
		s.after = s.idOf(entries[len(entries)-1].ID)
	}
	return entries, nil
}

// entry is one of the script's answer.
func (s *Source) entry(m *rueidis.RedisMessage) (ingest.Entry, error) {
	fields, err := m.ToArray()
	if err != nil {
		return ingest.Entry{}, err
	}
	id, err := fields[0].ToString()
	if err != nil {
		return ingest.Entry{}, err
	}
	data, err := fields[1].AsBytes()
	if err != nil {
		return ingest.Entry{}, err
	}
	size, err := fields[2].ToInt64()
	return ingest.Entry{ID: s.stream + ":" + id, Data: data, Size: int(size)}, err
}

// idOf is the id in the stream.
func (s *Source) idOf(entry string) string { return entry[len(s.stream)+1:] }

// wait waits until the list has an element, or the stream a further entry.
func (s *Source) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, wait+s.cfg.Timeout)
	defer cancel()
	b := s.client.B()
	// Its own first place is where the element goes: it stays there.
	cmd := b.Blmove().Source(s.cfg.Key).Destination(s.cfg.Key).Left().Left().Timeout(wait.Seconds()).Build()
	if !s.cfg.List {
		cmd = b.Xread().Count(1).Block(wait.Milliseconds()).Streams().Key(s.stream).Id(cmp.Or(s.after, "0")).Build()
	}
	if err := s.client.Do(ctx, cmd).Error(); err != nil && !rueidis.IsRedisNil(err) {
		return s.explain(err)
	}
	return nil
}

// Done implements ingest.Source.
func (s *Source) Done(ctx context.Context, ids []string) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	own := make([]string, len(ids))
	for i, id := range ids {
		own[i] = s.idOf(id)
	}
	return s.explain(s.client.Do(ctx, s.client.B().Xdel().Key(s.stream).Id(own...).Build()).Error())
}

// failed is what the list of failed entries has.
type failed struct {
	ID     string `json:"id"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
	Time   int64  `json:"time"`             // Unix milliseconds
	Entry  string `json:"entry"`            // as it was put in, as far as it is UTF-8
	Bytes  []byte `json:"base64,omitempty"` // the entry, where it is not
	Size   int    `json:"size,omitempty"`   // of an entry that was cut
}

// Fail implements ingest.Source.
func (s *Source) Fail(ctx context.Context, e ingest.Entry, f ingest.Failure) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	kept := failed{ID: s.idOf(e.ID), Code: f.Code, Reason: f.Reason, Time: time.Now().UnixMilli(), Entry: string(e.Data)}
	if !utf8.Valid(e.Data) {
		kept.Bytes = e.Data
	}
	if e.Size > len(e.Data) {
		kept.Size = e.Size
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return err // strings can always be encoded
	}
	err = failScript.Exec(ctx, s.client, []string{s.stream, s.failedKey()}, []string{kept.ID, string(text), strconv.Itoa(maxFailed)}).Error()
	if rueidis.IsRedisNil(err) {
		return nil
	}
	return s.explain(err)
}

// Close implements ingest.Source.
func (s *Source) Close() error {
	defer s.client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Timeout)
	defer cancel()
	err := closeScript.Exec(ctx, s.client, []string{s.readerKey()}, []string{s.name}).Error()
	if rueidis.IsRedisNil(err) {
		return nil
	}
	return s.explain(err)
}

// explain says in words why a command has failed.
func (s *Source) explain(err error) error {
	if err == nil {
		return nil
	}
	return &chat.Error{Kind: chat.Unavailable, Op: "ingest.redis", Subject: s.cfg.Key, Text: redislink.Reason(err), Err: err}
}

// Ping asks the server whether it lets this program in, and do what a Source of the key
// does.
func Ping(ctx context.Context, cfg Config) error {
	return redislink.Try(ctx, cfg.URL, func(client rueidis.Client) []rueidis.RedisResult {
		probe := cfg.Key + ":doctor:" + rand.Text()
		return []rueidis.RedisResult{
			readScript.Exec(ctx, client, []string{probe, probe + ":taken", probe + ":list"}, []string{"doctor", "1000", "1", "", "1", "1", "1"}),
			failScript.Exec(ctx, client, []string{probe + ":taken", probe + ":failed"}, []string{"0-1", "", "1"}),
			closeScript.Exec(ctx, client, []string{probe}, []string{"doctor"}),
		}
	})
}
