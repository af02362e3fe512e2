package adopt

import (
	"context"
	"database/sql"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/roomtide/roomtide/adopt/source"
)

// partItems are things in one request.
const partItems = 500

// copiedMessages is the fact that copy leaves behind its step "messages".
const copiedMessages = "copied messages"

// copy puts the history into the node. It is done in steps, each of which goes on where it
// was when it ended: all rows are read and sorted before the first one is imported, as each
// room is to have them in the order of their time, and the source has no index for that.
func (m *Move) copy(ctx context.Context) error {
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"rooms", m.copyRooms}, {"users", m.copyUsers}, {"scan", m.scan},
		{"members before", func(ctx context.Context) error { return m.copyMembers(ctx, len(m.cfg.Mapping.Reads) > 0) }},
		{"messages", m.copyMessages}, {"index", m.cfg.State.indexRows},
		{"members", func(ctx context.Context) error { return m.copyMembers(ctx, true) }},
		{"authors", func(ctx context.Context) error { return m.putAuthors(ctx, true) }}, {"reads", m.copyReads},
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

// importPart sends a request, and notes what the node refuses.
func (m *Move) importPart(ctx context.Context, p *part) (*told, error) {
	t, err := m.cfg.Node.importPart(ctx, p)
	if err != nil || len(t.Problems) == 0 {
		return t, err
	}
	return t, m.cfg.State.write(ctx, func(tx *sql.Tx) error { return putRefused(ctx, tx, t, p.key) })
}

// key names a thing of a request.
func (p *part) key(list string, i int) string {
	switch list {
	case "rooms":
		return p.Rooms[i].Room
	case "users":
		return p.Users[i].User
	case "members":
		return p.Members[i].Room + " " + p.Members[i].User
	case "reads":
		return p.Reads[i].Room + " " + p.Reads[i].User
	case "messages":
		return p.Messages[i].Key
	}
	return ""
}

// putRefused notes what the node refuses; key names a thing of the request.
func putRefused(ctx context.Context, tx *sql.Tx, t *told, key func(list string, i int) string) error {
	for _, f := range t.Problems {
		if err := putProblem(ctx, tx, "refused_"+f.List, source.Key(key(f.List, f.Item)), f.List, f.Problem.Detail, f.Status != http.StatusNotFound); err != nil {
			return err
		}
	}
	return nil
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

// putAuthors makes members of those who are by what was written, where the mapping does not
// say who is in a room.
func (m *Move) putAuthors(ctx context.Context, history bool) error {
	for last := (memberItem{}); ; {
		var all []memberItem
		rows, err := m.cfg.State.db.QueryContext(ctx, "SELECT room, user FROM members WHERE (room, user) > (?, ?) AND done = 0 ORDER BY room, user LIMIT ?",
			last.Room, last.User, copyParts*partItems)
		err = each(rows, err, func() error {
			var i memberItem
			err := rows.Scan(&i.Room, &i.User)
			all = append(all, i)
			return err
		})
		if err != nil || len(all) == 0 {
			return err
		}
		last = all[len(all)-1]
		work, ctx := errgroup.WithContext(ctx)
		for some := range slices.Chunk(all, partItems) {
			work.Go(func() error {
				if _, err := m.importPart(ctx, &part{History: history, Members: some}); err != nil {
					return err
				}
				return m.cfg.State.write(ctx, func(tx *sql.Tx) error { return membersDone(ctx, tx, some) })
			})
		}
		if err := work.Wait(); err != nil {
			return err
		}
	}
}

func membersDone(ctx context.Context, tx *sql.Tx, all []memberItem) error {
	put, err := tx.PrepareContext(ctx, "INSERT INTO members (room, user, done) VALUES (?, ?, 1) ON CONFLICT (room, user) DO UPDATE SET done = 1")
	if err != nil {
		return err
	}
	defer put.Close()
	for _, i := range all {
		if _, err := put.ExecContext(ctx, i.Room, i.User); err != nil {
			return err
		}
	}
	return nil
}
