package sqldb

import (
	"errors"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// The columns that the scans below read. The first are the key: what was asked for is
// compared with what came, so that an answer to another question is an error.
const (
	roomColumns    = "room_id, title, open, read_only, last_seq, rev, info_rev, members, created, topic, avatar, data, active, archived, deleted, floor"
	memberColumns  = "room_id, user_id, name, role, rev, since, avatar, data, until"
	messageColumns = "m.room_id, m.seq, coalesce(m.changed_rev, m.created_rev), m.created_rev, m.user_id, m.body, m.ts, " +
		"coalesce(m.send_key, ''), m.digest, m.reply_to, m.data, m.edited, m.deleted, m.name, coalesce(m.mentions, '')" // of {messages} m
	userRoomColumns = "user_id, room_id, role, rev, read_seq"
	userColumns     = "user_id, name, avatar, data, named"
	accessColumns   = "user_id, not_before, claimed"
)

var (
	errMixed = errors.New("the database has answered another question than the one that was asked")
	errRole  = errors.New("a role that is none")
)

func scanRoom(s Scanner, r *chat.Room) error {
	var open, readOnly, members, archived, deleted int64
	var data []byte
	err := s.Scan((*string)(&r.ID), &r.Title, &open, &readOnly, (*int64)(&r.LastSeq), (*int64)(&r.Rev), (*int64)(&r.InfoRev),
		&members, &r.Created, &r.Topic, &r.Avatar, &data, &r.Active, &archived, &deleted, (*int64)(&r.Floor))
	r.Open, r.ReadOnly, r.Archived, r.Deleted = open != 0, readOnly != 0, archived != 0, deleted != 0
	r.Members, r.Data = int(members), string(data)
	return err
}

func scanMember(s Scanner, m *chat.Member) error {
	var role int64
	var data []byte
	err := s.Scan((*string)(&m.Room), (*string)(&m.User), &m.Name, &role, (*int64)(&m.Rev), &m.Since, &m.Avatar, &data, &m.Until)
	m.Data = string(data)
	return setRole(&m.Role, role, err)
}

func setRole(to *chat.Role, role int64, err error) error {
	if err == nil && (role < 0 || role > 255) {
		err = errRole
	}
	*to = chat.Role(role)
	return err
}

func scanMessage(s Scanner, m *chat.Message) error {
	var deleted int64
	var mentions string
	err := s.Scan((*string)(&m.Room), (*int64)(&m.Seq), (*int64)(&m.Rev), (*int64)(&m.Created), (*string)(&m.User), &m.Text,
		&m.Time, &m.Key, &m.Digest, (*int64)(&m.ReplyTo), &m.Data, &m.Edited, &deleted, &m.Name, &mentions)
	m.Deleted, m.Mentions = deleted != 0, store.SplitMentions(mentions)
	return err
}

func scanUserRoom(s Scanner, u *store.UserRoom) error {
	var role int64
	err := s.Scan((*string)(&u.User), (*string)(&u.Room), &role, (*int64)(&u.Rev), (*int64)(&u.Read))
	return setRole(&u.Role, role, err)
}

func scanUser(s Scanner, u *chat.User) error {
	var data []byte
	err := s.Scan((*string)(&u.ID), &u.Name, &u.Avatar, &data, &u.Named)
	u.Data = string(data)
	return err
}

func scanAccess(s Scanner, a *chat.Access) error {
	var claimed int64
	err := s.Scan((*string)(&a.User), &a.NotBefore, &claimed)
	a.Claimed = claimed != 0
	return err
}

func scanReaction(s Scanner, k *store.ReactionKey) error {
	return s.Scan((*string)(&k.Room), (*int64)(&k.Seq), &k.Emoji, (*string)(&k.User))
}

// list is a question whose rows are read by scan and are appended to out, if each is
// one of those asked for.
func list[T any](out *[]T, scan func(Scanner, *T) error, asked func(*T) bool, text string, args ...any) Question {
	return Question{Text: text, Args: args, Row: func(s Scanner) error {
		var v T
		if err := scan(s, &v); err != nil {
			return err
		}
		if !asked(&v) {
			return errMixed
		}
		*out = append(*out, v)
		return nil
	}}
}
