package sqldb

import (
	"context"
	"fmt"
	"maps"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// DeltaRows is one round trip if no more than a page of changes came after the rev, as
// is usual; otherwise it is a few in one snapshot.
func (r *Reader) DeltaRows(ctx context.Context, room chat.RoomID, after chat.Rev, space store.Space) (*store.DeltaRows, error) {
	d := delta{r: r, room: room, after: after, space: space}
	if err := d.near(ctx, r.db); err != nil {
		return nil, err
	}
	if d.found && after < d.rows.Room.Rev && !d.isNear() {
		err := r.db.Snapshot(ctx, func(db Asker) error {
			d = delta{r: r, room: room, after: after, space: space}
			return d.far(ctx, db)
		})
		if err != nil {
			return nil, err
		}
	}
	if !d.found {
		return nil, r.notFound("delta", "room "+string(room))
	}
	if after < d.rows.Room.Rev {
		d.fill()
	}
	return &d.rows, nil
}

// delta is what is asked for one DeltaRows.
type delta struct {
	r     *Reader
	room  chat.RoomID
	after chat.Rev
	space store.Space

	rows             store.DeltaRows
	found            bool
	created, changed run
	under            reactions
}

const (
	changedAfter = "m.changed_rev > ? ORDER BY m.changed_rev LIMIT ?"
	membersAfter = "SELECT " + memberColumns + " FROM {members} WHERE slot = ? AND room_id = ? AND rev > ? ORDER BY rev LIMIT ?"

	// newest is behind the name of a table of messages: the newest rev - ? of them, none
	// if these are more than ?. Those that were created after a rev are among them: each
	// rev creates at most one message. There is no index on the rev of creation.
	newest = ".seq > r.last_seq - (r.rev - ?) AND r.rev - ? <= ?"
)

func (d *delta) limit() int64 { return int64(d.space.Items) + 1 }

// isNear reports whether near has all that was created after the rev.
func (d *delta) isNear() bool { return int64(d.rows.Room.Rev-d.from()) <= d.limit() }

// from is after, at least 0.
func (d *delta) from() chat.Rev { return max(d.after, 0) }

// common are the questions that do not depend on how far away the rev is.
func (d *delta) common() []Question {
	d.under = reactions{}
	d.created = run{d: d.r.d, room: d.room, space: d.space}
	d.changed = run{d: d.r.d, room: d.room, space: d.space}
	after, limit := int64(d.after), d.limit()
	space := d.space
	members := Question{Text: membersAfter, Args: append(roomArgs(d.room), after, limit), Row: func(s Scanner) error {
		var m chat.Member
		err := scanMember(s, &m)
		switch {
		case err != nil || d.rows.MoreMembers:
		case m.Room != d.room:
			err = errMixed
		case space.Take(m.Size()):
			d.rows.Members = append(d.rows.Members, m)
		default:
			d.rows.MoreMembers = true
		}
		return err
	}}
	qs := d.r.pickRooms([]chat.RoomID{d.room}, func(got *chat.Room) { d.rows.Room, d.found = *got, !got.Deleted })
	return append(qs, d.changed.question(changedAfter, after, limit), members)
}

func (d *delta) near(ctx context.Context, db Asker) error {
	args := []any{int64(d.from()), int64(d.from()), d.limit()}
	changed := reactions{}
	err := db.Ask(ctx, append(d.common(),
		d.created.question("m"+newest+" AND m.created_rev > ? ORDER BY m.seq LIMIT ?", append(args, int64(d.after), d.limit())...),
		d.under.question(d.room, d.r.d.under("c"+newest), append(roomArgs(d.room), args...)...),
		d.askChanged(changed))...)
	maps.Copy(d.under, changed)
	return err
}

// askChanged asks for the reactions of changed messages.
func (d *delta) askChanged(found reactions) Question {
	text, args := d.r.d.underChanged(d.room, int64(d.after), d.limit())
	return found.question(d.room, text, args...)
}

// probes is how many revs of creation one round trip looks at.
const probes = 15

// far finds where the messages begin that were created after the rev, near enough for
// the rest to be skipped while reading.
func (d *delta) far(ctx context.Context, db Asker) error {
	if err := db.Ask(ctx, d.common()...); err != nil || !d.found || d.after >= d.rows.Room.Rev {
		return err
	}
	room := &d.rows.Room
	// Everything up to low was created at after or before, everything from high on
	// after it.
	low := max(0, room.LastSeq-chat.Seq(room.Rev-d.from()))
	high := room.LastSeq + 1
	for int(high-low) > max(d.space.Items, 1) {
		var err error
		if low, high, err = d.probe(ctx, db, low, high); err != nil {
			return err
		}
	}
	changed := reactions{}
	args := append(roomArgs(d.room), int64(low), int64(high)+d.limit())
	err := db.Ask(ctx,
		d.created.question("m.seq > ? AND m.created_rev > ? ORDER BY m.seq LIMIT ?", int64(low), int64(d.after), d.limit()),
		d.under.question(d.room, d.r.d.under("c.seq > ? AND c.seq <= ?"), args...),
		d.askChanged(changed))
	maps.Copy(d.under, changed)
	return err
}

// probe narrows the range.
func (d *delta) probe(ctx context.Context, db Asker, low, high chat.Seq) (chat.Seq, chat.Seq, error) {
	var refs []store.MessageRef
	step := max((high-low)/(probes+1), 1)
	for seq := low + step; seq < high && len(refs) < probes; seq += step {
		refs = append(refs, store.MessageRef{Room: d.room, Seq: seq})
	}
	found := 0
	qs := pick(d.r.d, "m.room_id, m.seq, m.created_rev", "{messages} m", messageKey, refs, messageArgs, func(s Scanner) (ref store.MessageRef, err error) {
		var rev chat.Rev
		err = s.Scan((*string)(&ref.Room), (*int64)(&ref.Seq), (*int64)(&rev))
		if found++; rev > d.after {
			high = min(high, ref.Seq)
		} else {
			low = max(low, ref.Seq)
		}
		return ref, err
	})
	err := db.Ask(ctx, qs...)
	if err == nil && found != len(refs) {
		err = fmt.Errorf("of messages %d to %d some are missing", low, high)
	}
	return low, high, err
}

// fill moves what was read into the rows, as far as there is space.
func (d *delta) fill() {
	rows := &d.rows
	fit := d.under.fill(d.created.ms, d.space)
	rows.Created, rows.MoreCreated = d.created.ms[:fit], d.created.more || fit < len(d.created.ms)
	fit = d.under.fill(d.changed.ms, d.space)
	rows.Changed, rows.MoreChanged = d.changed.ms[:fit], d.changed.more || fit < len(d.changed.ms)
}
