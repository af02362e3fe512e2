package notify

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/store"
)

// maxRooms is how many rooms of a user are looked at to count what is unread.
const maxRooms = 10_000

// writer writes the notifications of one user. What several of them need is read once. Used
// by one goroutine.
type writer struct {
	s    *Sender
	user chat.UserID
	told *told
	is   *store.Recipient // the user

	badge  int   // what is unread
	failed error // why that could not be counted

	texts map[textKey]*text // nil: nothing is to be told
}

func newWriter(s *Sender, t *told, is *store.Recipient, badge int, failed error) *writer {
	return &writer{s: s, user: is.User, told: t, is: is, badge: badge, failed: failed, texts: map[textKey]*text{}}
}

// textKey is what a text depends on. Jobs of several devices have mostly the same.
type textKey struct {
	topic           string
	seq             chat.Seq
	silent, mention bool
}

// text is what is told of a topic, on all devices.
type text struct {
	title, text string
	words       func(*language) (title, text string) // instead of title and text, in the language of a device; nil: not
	data        map[string]string
	written     int64 // when the newest message was; 0: there is none
}

// write returns the notification for a job, and the device it is for. Without one there is
// nothing left to tell: everything was read, or the room or the device is gone.
func (w *writer) write(ctx context.Context, j *store.PushJob) (d chat.Device, n *push.Notification, written int64, err error) {
	if w.failed != nil {
		return d, nil, 0, w.failed
	}
	at := slices.IndexFunc(w.is.Devices, func(d chat.Device) bool { return d.ID == j.Device })
	if at < 0 {
		return d, nil, 0, nil
	}
	d = w.is.Devices[at]
	key := textKey{j.Topic, j.Seq, j.Silent, j.Mention}
	t, known := w.texts[key]
	if !known {
		if t, err = w.about(ctx, j); err != nil {
			return d, nil, 0, err
		}
		w.texts[key] = t
	}
	if t == nil {
		return d, nil, 0, nil
	}
	title, body := t.title, t.text
	if t.words != nil {
		title, body = t.words(w.s.language(&d))
	}
	return d, &push.Notification{
		ID: w.id(j), Title: title, Text: body, Data: t.data, Badge: &w.badge,
		Collapse: w.digest("collapse", j.Topic), Expires: time.UnixMilli(j.Expires),
	}, t.written, nil
}

// about is what is to be told of a job's topic; nil: nothing.
func (w *writer) about(ctx context.Context, j *store.PushJob) (*text, error) {
	switch {
	case j.Room() == "":
		return ofHost(j)
	case j.Silent: // what was read elsewhere is closed
		return &text{data: map[string]string{"room": string(j.Room()), "read": strconv.FormatInt(int64(j.Seq), 10)}}, nil
	}
	return w.ofRoom(ctx, j)
}

// ofHost is what the host wants told.
func ofHost(j *store.PushJob) (*text, error) {
	t := &text{title: j.Title, text: j.Text}
	if j.Data == "" {
		return t, nil
	}
	if err := json.Unmarshal([]byte(j.Data), &t.data); err != nil {
		return nil, chat.Wrap(chat.Internal, "notify.data", err)
	}
	return t, nil
}

// ofRoom tells of the newest message that the user has not read.
func (w *writer) ofRoom(ctx context.Context, j *store.PushJob) (*text, error) {
	room := j.Room()
	read, in, err := w.mark(ctx, room)
	if err != nil || !in || read >= j.Seq {
		return nil, err
	}
	r, err := w.told.of(room, j.Seq)
	if err != nil || r == nil {
		return nil, err
	}
	if j.Mention {
		if t, err := w.ofMention(ctx, j, r, read); t != nil || err != nil {
			return t, err
		}
		if only, err := w.mentionsOnly(ctx, &r.room); only || err != nil {
			return nil, err
		}
	}
	if m := w.newest(r.messages, read, func(*chat.Message) bool { return true }); m != nil {
		return w.tell(ctx, j, &r.room, m, read, false)
	}
	return nil, nil
}

// ofMention tells of the newest unread message that mentions the user. There may be none any
// more, as messages were edited or deleted: then who wants to be told of mentions alone is
// told nothing, and others of the newest message.
func (w *writer) ofMention(ctx context.Context, j *store.PushJob, r *toldRoom, read chat.Seq) (*text, error) {
	mentioned := func(m *chat.Message) bool { return slices.Contains(m.Mentions, w.user) }
	m := w.newest(r.messages, read, mentioned)
	if m == nil && j.Seq-read > newest { // further back than others look
		ms, _, err := w.s.cfg.Store.Room(r.room.ID).Messages(ctx, r.room.ID, store.Page{Before: j.Seq + 1 - newest, Limit: min(mostRead, int(j.Seq-read-newest))})
		if err != nil {
			return nil, err
		}
		m = w.newest(ms, read, mentioned)
	}
	if m == nil {
		return nil, nil
	}
	return w.tell(ctx, j, &r.room, m, read, true)
}

// newest returns the newest message that is another's, unread, not deleted and as wanted, nil
// if there is none.
func (w *writer) newest(ms []chat.Message, read chat.Seq, wanted func(*chat.Message) bool) *chat.Message {
	for i := len(ms) - 1; i >= 0; i-- {
		if m := &ms[i]; m.User != w.user && !m.Deleted && m.Seq > read && wanted(m) {
			return m
		}
	}
	return nil
}

// mentionsOnly reports whether the user is told of mentions alone: in a large room, or as the
// settings say.
func (w *writer) mentionsOnly(ctx context.Context, r *chat.Room) (bool, error) {
	if r.Members > w.s.cfg.Members {
		return true, nil
	}
	level := w.is.Settings.Level
	here, err := w.s.cfg.Store.User(w.user).PushSettings(ctx, w.user, r.ID, 1)
	if err != nil {
		return false, err
	}
	if len(here) > 0 && here[0].Room == r.ID && here[0].Level != chat.PushDefault {
		level = here[0].Level
	}
	return level == chat.PushMentions, nil
}

// mark is up to where the user has read a room, and whether the user is in it. Where the
// user's own row of the room does not say so yet, as the user has just joined, the room does.
func (w *writer) mark(ctx context.Context, room chat.RoomID) (read chat.Seq, in bool, err error) {
	at, found := slices.BinarySearchFunc(w.is.Rooms, room, func(u store.UserRoom, id chat.RoomID) int { return cmp.Compare(u.Room, id) })
	if found {
		return w.is.Rooms[at].Read, true, nil
	}
	mine, err := w.s.cfg.Store.User(w.user).UserRoom(ctx, w.user, room)
	if err != nil && chat.KindOf(err) != chat.NotFound {
		return 0, false, err
	}
	if mine.Rev > 0 {
		return mine.Read, mine.Role.Present(), nil
	}
	m, err := w.s.cfg.Store.Room(room).Member(ctx, room, w.user)
	if chat.KindOf(err) == chat.NotFound {
		return 0, false, nil
	}
	return mine.Read, err == nil && m.Role.Present(), err
}

// tell is what is told of a message, or of how many are unread in the room.
func (w *writer) tell(ctx context.Context, j *store.PushJob, r *chat.Room, m *chat.Message, read chat.Seq, mention bool) (*text, error) {
	unread := 0
	hidden := w.s.cfg.Hidden || w.is.Settings.HideContent
	if hidden { // else nothing is said of how many there are
		counts, err := w.s.cfg.Store.Others(ctx, []store.Range{{Room: r.ID, User: w.user, From: max(read, j.Seq-store.UnreadWindow), To: j.Seq}})
		if err != nil {
			return nil, err
		}
		unread = counts[0].Count
	}
	t := &text{
		written: m.Time,
		data:    map[string]string{"room": string(r.ID), "seq": strconv.FormatInt(int64(m.Seq), 10)},
	}
	t.words = func(l *language) (string, string) { return l.message(r, m, unread, mention, hidden) }
	return t, nil
}

// id is the same in every attempt at a version of a job: a UUID (version 8, RFC 9562).
func (w *writer) id(j *store.PushJob) string {
	b := w.mac("id", j.Device, j.Topic, strconv.FormatInt(j.Made, 10))[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// digest is a collapse key that only the deployment can make: rooms can be guessed.
func (w *writer) digest(kind, topic string) string { return string(w.mac(kind, topic)) }

func (w *writer) mac(parts ...string) []byte {
	h := hmac.New(sha256.New, w.s.cfg.Secret)
	h.Write([]byte("roomtide push\n" + w.user))
	for _, p := range parts {
		h.Write([]byte("\n" + p))
	}
	return h.Sum(nil)
}
