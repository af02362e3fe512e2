// Package survey tells what adopting a source would bring, before anything is written:
// how much there is, how messages would look, and every class of problem with its count.
package survey

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/roomtide/roomtide/adopt/decode"
	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/source"
)

// Report is what was found. Its JSON is for scripts.
type Report struct {
	Database string    `json:"database"`
	Engine   string    `json:"engine"`
	Messages int64     `json:"messages"` // in all
	Looked   int64     `json:"looked"`   // at so many of them
	Refused  int64     `json:"refused"`  // of those that were looked at
	System   int64     `json:"system"`   // lines of the system among them
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Rate     int64     `json:"rows_per_second"`

	Rooms   Amount `json:"rooms"`
	Members Amount `json:"members"`
	Users   Amount `json:"users"`
	Reads   Amount `json:"reads"`

	Newest   []Line    `json:"newest"`
	Problems []Problem `json:"problems"`
	Hints    []Hint    `json:"hints"`
	OneWay   string    `json:"one_way,omitempty"` // why nothing can be written into the table

	Took time.Duration `json:"-"`
}

// Amount is how many rows a side table has; More says that there are others.
type Amount struct {
	Rows int64 `json:"rows"`
	More bool  `json:"more,omitempty"`
}

// Line is a message as it would look.
type Line struct {
	Key     source.Key `json:"key"`
	Room    string     `json:"room"`
	User    string     `json:"user"`
	Name    string     `json:"name,omitempty"`
	Time    time.Time  `json:"time,omitzero"`
	Text    string     `json:"text"`
	Data    []string   `json:"data,omitempty"`
	Deleted bool       `json:"deleted,omitempty"`
	Edited  bool       `json:"edited,omitempty"`
	Reply   bool       `json:"reply,omitempty"`
	System  bool       `json:"system,omitempty"`
	Refused bool       `json:"refused,omitempty"`
}

// Problem is a class of problem in a field.
type Problem struct {
	Class    source.Class `json:"class"`
	Field    string       `json:"field"`
	Detail   string       `json:"detail,omitempty"` // of the first one
	Count    int64        `json:"count"`
	Refused  bool         `json:"refused"`
	Examples []source.Key `json:"examples"`
	Advice   string       `json:"advice"`
}

// Hint is how many texts look made for a decoder that the mapping does not have.
type Hint struct {
	Decoder  decode.Hint  `json:"decoder"`
	Count    int64        `json:"count"`
	Examples []source.Key `json:"examples"`
}

// Options of Look.
type Options struct {
	Sample   int64                   // at most so many messages are looked at; 0 is all
	Progress func(done, total int64) // may be nil
	OneWay   string                  // of the report
	Now      func() time.Time
}

// Bounds of a report.
const (
	previewed   = 20
	previewText = 500 // columns of one message
	examples    = 5
	pageRows    = 2000
	parts       = 20     // a sample is taken in so many places
	countedSide = 10_000 // rows of a side table
)

// Look reads a source. What does not fit is in the report; an error means that it could
// not be read.
func Look(ctx context.Context, s *source.Tables, m *mapping.Mapping, o Options) (*Report, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &look{ctx: ctx, s: s, o: o, started: o.Now(), problems: map[problemKey]*Problem{}, hints: map[decode.Hint]*Hint{},
		decoders: m.Message.Decode, names: map[string]string{}}
	l.r = Report{Engine: string(s.Engine()), Database: m.Source.Name, OneWay: o.OneWay, Newest: []Line{}, Problems: []Problem{}, Hints: []Hint{}}
	for _, step := range []func() error{l.sides, l.messages, l.newest} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	l.finish()
	return &l.r, nil
}

type problemKey struct {
	class   source.Class
	field   string
	refused bool
}

// look is one run of Look.
type look struct {
	ctx      context.Context
	s        *source.Tables
	o        Options
	started  time.Time
	r        Report
	problems map[problemKey]*Problem
	hints    map[decode.Hint]*Hint
	decoders []string
	names    map[string]string // of users
}

// messages reads all messages, or samples that lie evenly over them.
func (l *look) messages() error {
	first, last, count, err := l.s.Bounds(l.ctx)
	if err != nil {
		return err
	}
	l.r.Messages = count
	total, starts, each := count, []source.Key{""}, count+1
	if l.o.Sample > 0 && count > l.o.Sample {
		starts = l.s.Spread(first, last, parts)
		total, each = l.o.Sample, l.o.Sample/int64(len(starts))
	}
	began := l.o.Now()
	for _, after := range starts {
		if err := l.part(after, each, total); err != nil {
			return err
		}
	}
	if took := l.o.Now().Sub(began); took > 0 {
		l.r.Rate = int64(float64(l.r.Looked) / took.Seconds())
	}
	return nil
}

// part looks at so many messages behind a key.
func (l *look) part(after source.Key, most, total int64) error {
	for seen := int64(0); seen < most; {
		rows, err := l.s.Rows(l.ctx, after, int(min(pageRows, most-seen)))
		if err != nil || len(rows) == 0 {
			return err
		}
		for i := range rows {
			l.row(&rows[i])
		}
		seen += int64(len(rows))
		after = rows[len(rows)-1].Key
		if l.o.Progress != nil {
			l.o.Progress(l.r.Looked, total)
		}
	}
	return nil
}

func (l *look) row(r *source.Row) {
	l.r.Looked++
	if r.Refused() {
		l.r.Refused++
	}
	if r.Kind == source.System {
		l.r.System++
	}
	if !r.Time.IsZero() {
		if l.r.First.IsZero() || r.Time.Before(l.r.First) {
			l.r.First = r.Time
		}
		if r.Time.After(l.r.Last) {
			l.r.Last = r.Time
		}
	}
	for _, p := range r.Problems {
		k := problemKey{p.Class, p.Field, p.Refused}
		have := l.problems[k]
		if have == nil {
			have = &Problem{Class: p.Class, Field: p.Field, Detail: p.Detail, Refused: p.Refused, Advice: advice[p.Class]}
			l.problems[k] = have
		}
		if have.Count++; len(have.Examples) < examples {
			have.Examples = append(have.Examples, r.Key)
		}
	}
	l.hint(r)
}

// hint looks for a text that is encoded still.
func (l *look) hint(r *source.Row) {
	h := decode.Suggest(r.Text)
	if h == "" || slices.ContainsFunc(l.decoders, func(name string) bool { return strings.HasPrefix(name, string(h)) }) {
		return
	}
	have := l.hints[h]
	if have == nil {
		have = &Hint{Decoder: h}
		l.hints[h] = have
	}
	if have.Count++; len(have.Examples) < examples {
		have.Examples = append(have.Examples, r.Key)
	}
}

// newest makes the preview.
func (l *look) newest() error {
	rows, err := l.s.Newest(l.ctx, previewed)
	if err != nil {
		return err
	}
	for _, r := range rows {
		line := Line{Key: r.Key, Room: r.Room, User: r.User, Name: l.names[r.User], Time: r.Time, Text: clip(r.Text, previewText), Deleted: r.Deleted,
			Edited: !r.Edited.IsZero(), Reply: r.Reply != "", System: r.Kind == source.System, Refused: r.Refused()}
		for name := range r.Data {
			line.Data = append(line.Data, name)
		}
		slices.Sort(line.Data)
		l.r.Newest = append(l.r.Newest, line)
	}
	return nil
}

func (l *look) sides() (err error) {
	if l.r.Rooms, err = count(l.ctx, l.s.Rooms, func(r *source.RoomRow) source.Key { return r.Key }); err != nil {
		return err
	}
	if l.r.Members, err = count(l.ctx, l.s.Members, func(m *source.MemberRow) source.Key { return m.Key }); err != nil {
		return err
	}
	l.r.Users, err = count(l.ctx, l.s.Users, func(u *source.UserRow) source.Key {
		l.names[u.ID] = u.Name
		return u.Key
	})
	if err != nil {
		return err
	}
	l.r.Reads, err = count(l.ctx, l.s.Reads, func(r *source.ReadRow) source.Key { return r.Key })
	return err
}

// count counts the rows of a side table, up to a number. visit is called with each.
func count[R any](ctx context.Context, page func(context.Context, source.Key, int) ([]R, error), visit func(*R) source.Key) (a Amount, err error) {
	for after := source.Key(""); ; {
		rows, err := page(ctx, after, pageRows)
		if err != nil || len(rows) == 0 {
			return a, err
		}
		for i := range rows {
			after = visit(&rows[i])
		}
		if a.Rows += int64(len(rows)); a.Rows >= countedSide {
			a.More = true
			return a, nil
		}
	}
}

func (l *look) finish() {
	for _, p := range l.problems {
		l.r.Problems = append(l.r.Problems, *p)
	}
	slices.SortFunc(l.r.Problems, func(a, b Problem) int {
		return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Field, b.Field))
	})
	for _, h := range l.hints {
		// Some texts look like anything: people write about HTML in a chat.
		if h.Count > 2 && h.Count*200 > l.r.Looked {
			l.r.Hints = append(l.r.Hints, *h)
		}
	}
	slices.SortFunc(l.r.Hints, func(a, b Hint) int { return -cmp.Compare(a.Count, b.Count) })
	l.r.Took = l.o.Now().Sub(l.started)
}

// advice is what to do about a class.
var advice = map[source.Class]string{
	source.Expression: "write the expression of the mapping so that it has a value for every row, or NULL",
	source.NoRoom:     "message.room is NULL or empty there: give these rows a room with COALESCE, or leave them out with message.where",
	source.NoUser:     `nobody said it: name an author with COALESCE, make kind 'system' of it, or set problems.no_user = "system"`,
	source.BadID:      "ids have up to 128 bytes and no control characters: make another of it in the expression, such as CONCAT('room-', SHA2(name, 256))",
	source.NoTime:     "it follows the message before it; with problems.no_time = \"refuse\" it is left out",
	source.Future:     "is source.tz the time zone of the application's clock, and message.unit right?",
	source.Undecoded:  "see message.decode; with problems.undecoded = \"keep\" the text stays as it is stored",
	source.NotText:    "a decoder is missing, such as repair_utf8 or charset:gbk; with problems.not_text = \"replace\" the bytes become �",
	source.Empty:      "nothing is lost, as there is nothing to see; if a file belongs to it, name it in message.data",
	source.TooLong:    "raise the limits of the node and set problems.too_long = \"keep\", or \"cut\" to end them with a mark",
	source.DataTooBig: "leave the largest message.data out, or set problems.data_too_big = \"drop\"",
	source.Twice:      "message.join finds several rows for one message: the first one counts; join on a key",
}
