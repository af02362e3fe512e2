package adopt

import (
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
)

const (
	scanRows  = 2000      // of the source, at a time
	partItems = 500       // things in one request
	partBytes = 512 << 10 // texts in one request
)

// copy puts the history into the node. It is done in steps, each of which goes on where it
// was when it ended: rows are staged, as each room is to have them in the order of their
// time, and the source has no index for that.
func (m *Move) copy(ctx context.Context) error {
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"rooms", m.copyRooms}, {"users", m.copyUsers}, {"scan", m.stage},
		{"members before", func(ctx context.Context) error { return m.copyMembers(ctx, len(m.cfg.Mapping.Reads) > 0) }},
		{"messages", m.copyMessages},
		{"members", func(ctx context.Context) error { return m.copyMembers(ctx, true) }}, {"authors", m.copyAuthors}, {"reads", m.copyReads},
	} {
		done, err := m.cfg.State.fact(ctx, "copied "+step.name)
		if err != nil {
			return err
		}
		if done != "" {
			continue
		}
		m.count(func(b *Beat) { b.Phase = "copy: " + step.name })
		if err := step.do(ctx); err != nil {
			return err
		}
		if err := m.cfg.State.setFact(ctx, "copied "+step.name, time.Now().UTC().Format(time.RFC3339)); err != nil {
			return err
		}
	}
	return nil
}

// pages calls do with each page of a list of the source.
func pages[R any](ctx context.Context, read func(context.Context, source.Key, int) ([]R, error), key func(*R) source.Key, do func([]R) error) error {
	for after := source.Key(""); ; {
		rows, err := read(ctx, after, partItems)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := do(rows); err != nil {
			return err
		}
		after = key(&rows[len(rows)-1])
	}
}

// importParts sends a request, and notes what the node refuses.
func (m *Move) importPart(ctx context.Context, p *part) (*told, error) {
	t, err := m.cfg.Node.importPart(ctx, p)
	if err != nil || len(t.Problems) == 0 {
		return t, err
	}
	return t, m.cfg.State.write(ctx, func(tx *sql.Tx) error {
		for _, f := range t.Problems {
			key := ""
			switch f.List {
			case "rooms":
				key = p.Rooms[f.Item].Room
			case "users":
				key = p.Users[f.Item].User
			case "members":
				key = p.Members[f.Item].Room + " " + p.Members[f.Item].User
			case "reads":
				key = p.Reads[f.Item].Room + " " + p.Reads[f.Item].User
			case "messages":
				key = p.Messages[f.Item].Key
			}
			if err := putProblem(ctx, tx, "refused_"+f.List, source.Key(key), f.List, f.Problem.Detail, f.Status != http.StatusNotFound); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *Move) copyRooms(ctx context.Context) error {
	return pages(ctx, m.cfg.Source.Rooms, func(r *source.RoomRow) source.Key { return r.Key }, func(rows []source.RoomRow) error {
		p := &part{}
		for _, r := range rows {
			p.Rooms = append(p.Rooms, roomItem{r.ID, r.Title, r.Open})
		}
		_, err := m.importPart(ctx, p)
		return err
	})
}

func (m *Move) copyUsers(ctx context.Context) error {
	return pages(ctx, m.cfg.Source.Users, func(r *source.UserRow) source.Key { return r.Key }, func(rows []source.UserRow) error {
		p := &part{}
		for _, r := range rows {
			p.Users = append(p.Users, userItem{r.ID, r.Name})
		}
		_, err := m.importPart(ctx, p)
		return err
	})
}

// copyMembers comes before the messages where there are read marks, as members who come in
// later have read everything; and behind them for rooms that only the messages made.
func (m *Move) copyMembers(ctx context.Context, now bool) error {
	if !now {
		return nil
	}
	return pages(ctx, m.cfg.Source.Members, func(r *source.MemberRow) source.Key { return r.Key }, func(rows []source.MemberRow) error {
		p := &part{History: true}
		rooms := map[string]bool{}
		for _, r := range rows {
			if r.Left {
				continue
			}
			if !rooms[r.Room] {
				rooms[r.Room] = true
				p.Rooms = append(p.Rooms, roomItem{Room: r.Room})
			}
			p.Members = append(p.Members, memberItem{r.Room, r.User, r.Role})
		}
		p.Rooms = m.missing(p.Rooms)
		_, err := m.importPart(ctx, p)
		return err
	})
}

// missing leaves out rooms that the mapping's own list has made.
func (m *Move) missing(rooms []roomItem) []roomItem {
	if len(m.cfg.Mapping.Rooms) > 0 {
		return nil
	}
	return rooms
}

// copyAuthors makes members of those who have written, where the mapping does not say who
// is in a room.
func (m *Move) copyAuthors(ctx context.Context) error {
	for {
		p := &part{History: true}
		rows, err := m.cfg.State.db.QueryContext(ctx, "SELECT room, user FROM members WHERE done = 0 LIMIT ?", partItems)
		err = each(rows, err, func() error {
			var i memberItem
			err := rows.Scan(&i.Room, &i.User)
			p.Members = append(p.Members, i)
			return err
		})
		if err != nil || len(p.Members) == 0 {
			return err
		}
		if _, err := m.importPart(ctx, p); err != nil {
			return err
		}
		if err := m.cfg.State.write(ctx, func(tx *sql.Tx) error { return membersDone(ctx, tx, p.Members) }); err != nil {
			return err
		}
	}
}

func membersDone(ctx context.Context, tx *sql.Tx, all []memberItem) error {
	for _, i := range all {
		if _, err := tx.ExecContext(ctx, "INSERT INTO members (room, user, done) VALUES (?, ?, 1) ON CONFLICT (room, user) DO UPDATE SET done = 1", i.Room, i.User); err != nil {
			return err
		}
	}
	return nil
}

// staged is a row that waits for its turn, as the file has it.
type staged struct {
	Item  item       `json:"item"`
	Key   source.Key `json:"key"`
	Reply source.Key `json:"reply,omitempty"`
}

// stage reads all rows in the order of their keys.
func (m *Move) stage(ctx context.Context) error {
	if m.Beat().Total == 0 {
		_, _, count, err := m.cfg.Source.Bounds(ctx)
		if err != nil {
			return err
		}
		m.count(func(b *Beat) { b.Total = count })
	}
	after, err := m.cfg.State.fact(ctx, "scanned")
	if err != nil {
		return err
	}
	last := time.Now()
	for {
		rows, made, err := m.rowsToCopy(ctx, source.Key(after))
		if err != nil || len(rows) == 0 {
			return err
		}
		err = m.cfg.State.write(ctx, func(tx *sql.Tx) error {
			for i := range rows {
				if made[rows[i].Key] {
					continue
				}
				if last, err = m.stageRow(ctx, tx, &rows[i], last); err != nil {
					return err
				}
			}
			after = string(rows[len(rows)-1].Key)
			return putFact(ctx, tx, "scanned", after)
		})
		if err != nil {
			return err
		}
		m.count(func(b *Beat) { b.Read += int64(len(rows)) })
	}
}

// stageRow stages a row. One without a time follows the one before it.
func (m *Move) stageRow(ctx context.Context, tx *sql.Tx, r *source.Row, last time.Time) (time.Time, error) {
	if err := putProblems(ctx, tx, r); err != nil || r.Refused() {
		return last, err
	}
	s := staged{Item: itemOf(m.name, r), Key: r.Key, Reply: r.Reply}
	if s.Item.Time == nil {
		at := last.UTC()
		s.Item.Time = &at
	}
	body, err := json.Marshal(&s)
	if err == nil {
		_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO staged (room, time, key, item) VALUES (?, ?, ?, ?)", r.Room, s.Item.Time.UnixMicro(), stateKey(r.Key), body)
	}
	if err == nil {
		err = m.noteMembers(ctx, tx, r)
	}
	return *s.Item.Time, err
}

// noteMembers notes who is in a room because of a message.
func (m *Move) noteMembers(ctx context.Context, tx *sql.Tx, r *source.Row) error {
	if len(m.cfg.Mapping.Members) > 0 {
		return nil
	}
	for _, user := range []string{r.User, r.To} {
		if user == "" || r.Kind == source.System {
			continue
		}
		if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO members (room, user) VALUES (?, ?)", r.Room, user); err != nil {
			return err
		}
	}
	return nil
}

func putProblems(ctx context.Context, tx *sql.Tx, r *source.Row) error {
	for _, p := range r.Problems {
		if err := putProblem(ctx, tx, string(p.Class), r.Key, p.Field, p.Detail, p.Refused); err != nil {
			return err
		}
	}
	return nil
}

// copyMessages imports what is staged, room after room: members who are online are told of
// each room's history at once.
func (m *Move) copyMessages(ctx context.Context) error {
	for {
		batch, err := m.nextStaged(ctx)
		if err != nil || len(batch) == 0 {
			return err
		}
		if err := m.importStaged(ctx, batch); err != nil {
			return err
		}
	}
}

// nextStaged is what comes next. It ends before a row that answers one in it, whose number
// is not known yet.
func (m *Move) nextStaged(ctx context.Context) (batch []staged, err error) {
	rows, err := m.cfg.State.db.QueryContext(ctx, "SELECT item FROM staged ORDER BY room, time, key LIMIT ?", partItems)
	bytes, keys := 0, map[source.Key]bool{}
	full := false
	err = each(rows, err, func() error {
		var body []byte
		if err := rows.Scan(&body); err != nil || full {
			return err
		}
		var s staged
		if err := json.Unmarshal(body, &s); err != nil {
			return err
		}
		if bytes += len(body); len(batch) > 0 && (bytes > partBytes || keys[s.Reply]) {
			full = true
			return nil
		}
		keys[s.Key] = true
		batch = append(batch, s)
		return nil
	})
	return batch, err
}

func (m *Move) importStaged(ctx context.Context, batch []staged) error {
	var replies []source.Key
	for i := range batch {
		if batch[i].Reply != "" {
			replies = append(replies, batch[i].Reply)
		}
	}
	parents, err := m.cfg.State.known(ctx, replies)
	if err != nil {
		return err
	}
	p := &part{History: true, Raise: true}
	for i := range batch {
		s := &batch[i]
		if k, ok := parents[s.Reply]; ok && k.Room == s.Item.Room {
			s.Item.ReplyTo = k.Seq
		}
		p.Messages = append(p.Messages, s.Item)
	}
	t, err := m.importPart(ctx, p)
	if err != nil {
		return err
	}
	err = m.cfg.State.write(ctx, func(tx *sql.Tx) error {
		for i := range batch {
			s := &batch[i]
			if r := t.Messages[i]; r != nil {
				if err := putKnown(ctx, tx, &known{s.Key, s.Item.Room, s.Item.User, r.Seq, s.Item.hash(), s.Item.Deleted, s.Item.Time.UnixMilli()}); err != nil {
					return err
				}
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM staged WHERE room = ? AND time = ? AND key = ?", s.Item.Room, s.Item.Time.UnixMicro(), stateKey(s.Key)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		m.count(func(b *Beat) { b.Imported += int64(len(batch)) })
	}
	return err
}

// byTime orders rows as a room has them.
func byTime(rows []source.Row) {
	slices.SortStableFunc(rows, func(a, b source.Row) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return compareKeys(a.Key, b.Key)
	})
}

func compareKeys(a, b source.Key) int {
	x, y := stateKey(a), stateKey(b)
	n, isN := x.(int64)
	k, isK := y.(int64)
	switch {
	case isN && isK:
		return int(min(1, max(-1, n-k)))
	case isN:
		return -1
	case isK:
		return 1
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
