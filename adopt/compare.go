package adopt

import (
	"context"
	"database/sql"
	"strconv"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// Finding is a difference that was there twice.
type Finding struct {
	Key  source.Key `json:"key,omitempty"`
	Room string     `json:"room,omitempty"`
	Seq  int64      `json:"seq,omitempty"`
	User string     `json:"user,omitempty"` // of the message, or of the read mark
	What string     `json:"what"`
	Old  string     `json:"old,omitempty"` // what the old table says, and
	New  string     `json:"new,omitempty"` // what Roomtide says: never a text, but the beginning of its hash
}

// What differs.
const (
	NotImported = "the row is not in Roomtide"
	RowGone     = "the row is gone, and the message is not deleted"
	NotMirrored = "the message is not in the old table"
	Differs     = "the row and the message do not say the same"
	MarkAhead   = "the read mark of the old table is ahead of that in Roomtide"
	MarkBehind  = "the read mark of the old table is behind that in Roomtide"
)

// Comparison is what a comparison has found.
type Comparison struct {
	Rows     int64     `json:"rows"`     // of the source
	Messages int64     `json:"messages"` // of Roomtide
	Marks    int64     `json:"marks"`    // read marks of the source
	Refused  int64     `json:"refused"`  // rows that cannot be imported, as was noted
	Findings []Finding `json:"findings"`
	More     bool      `json:"more,omitempty"` // more differed at once than is looked at again: it is not known whether that still differs
	Clean    int       `json:"clean_comparisons"`
}

// Differs reports whether the comparison does not count as one that found nothing.
func (c *Comparison) Differs() bool { return len(c.Findings) > 0 || c.More }

// recheckEvery is the time between two looks at what differs: what is on its way arrives.
const (
	recheckEvery = time.Second
	rechecks     = 8
	mostFindings = 1000 // of messages, and of read marks: what is looked at again
)

// Compare compares every row with its message, and every message with its row, by what
// they say. Only what differs again and again counts, unless too much differs at once. progress is called now and then; nil:
// not.
func (f *Files) Compare(ctx context.Context, src source.Source, progress func(rows int64)) (*Comparison, error) {
	c := &comparison{Files: f, src: src, found: map[spot]Finding{}, out: &Comparison{}, progress: progress}
	if err := c.rows(ctx); err != nil {
		return nil, err
	}
	if err := c.messages(ctx); err != nil {
		return nil, err
	}
	if err := c.readMarks(ctx); err != nil {
		return nil, err
	}
	for i := 0; i < rechecks && len(c.found)+len(c.marks) > 0; i++ {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(recheckEvery):
		}
		if err := c.recheck(ctx); err != nil {
			return nil, err
		}
	}
	for _, finding := range c.found {
		c.out.Findings = append(c.out.Findings, finding)
	}
	for _, finding := range c.marks {
		c.out.Findings = append(c.out.Findings, finding)
	}
	clean, err := f.clean(ctx)
	if err != nil {
		return nil, err
	}
	if clean++; c.out.Differs() {
		clean = 0
	}
	c.out.Clean = clean
	return c.out, f.State.setFact(ctx, "clean", strconv.Itoa(clean))
}

// comparison is one that goes on.
type comparison struct {
	*Files
	src      source.Source
	found    map[spot]Finding
	marks    map[roomUser]Finding // those of read marks
	out      *Comparison
	progress func(int64)
}

// spot is what is looked at once more: a row, a message, or both.
type spot struct {
	key  source.Key
	room string
	seq  int64
}

func (c *comparison) note(f Finding) { put(c, c.found, spot{f.Key, f.Room, f.Seq}, f) }

// put notes a finding in found, or that there are more than are looked at again.
func put[K comparable](c *comparison, found map[K]Finding, at K, f Finding) {
	if _, was := found[at]; !was && len(found) >= mostFindings {
		c.out.More = true
		return
	}
	found[at] = f
}

// rows compares the rows of the source with what is known of them.
func (c *comparison) rows(ctx context.Context) error {
	return pages(ctx, c.src.Rows, func(r *source.Row) source.Key { return r.Key }, func(rows []source.Row) error {
		c.out.Rows += int64(len(rows))
		if c.progress != nil {
			c.progress(c.out.Rows)
		}
		return c.compareRows(ctx, rows, func(f Finding) { c.note(f) })
	})
}

func (c *comparison) compareRows(ctx context.Context, rows []source.Row, note func(Finding)) error {
	keys := make([]source.Key, len(rows))
	for i := range rows {
		keys[i] = rows[i].Key
	}
	known, err := c.State.known(ctx, keys)
	if err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		it := itemOf(c.Mapping.Source.Name, r)
		k, ok := known[r.Key]
		switch {
		case r.Refused():
			c.out.Refused++
		case !ok:
			note(Finding{Key: r.Key, Room: r.Room, User: it.User, What: NotImported, Old: says(it.hash(), it.Deleted)})
		case k.Hash != it.hash():
			note(Finding{Key: r.Key, Room: k.Room, Seq: k.Seq, User: it.User, What: Differs, Old: says(it.hash(), it.Deleted), New: says(k.Hash, k.Deleted)})
		}
	}
	return nil
}

// messages compares the messages of every room with what is known of their rows.
func (c *comparison) messages(ctx context.Context) error {
	var rooms []string
	rows, err := c.State.db.QueryContext(ctx, "SELECT DISTINCT room FROM rows ORDER BY room")
	err = each(rows, err, func() error {
		var room string
		err := rows.Scan(&room)
		rooms = append(rooms, room)
		return err
	})
	if err != nil {
		return err
	}
	for _, room := range rooms {
		if err := c.room(ctx, room); err != nil {
			return err
		}
	}
	return nil
}

// recheck looks again at everything that was found, and forgets what is right by now.
func (c *comparison) recheck(ctx context.Context) error {
	for at, f := range c.found {
		still, err := c.still(ctx, f)
		if err != nil {
			return err
		}
		if !still {
			delete(c.found, at)
		}
	}
	return c.recheckMarks(ctx)
}

func (c *comparison) still(ctx context.Context, f Finding) (bool, error) {
	still := false
	if f.Key != "" {
		rows, err := c.src.ByKeys(ctx, []source.Key{f.Key})
		if err == nil {
			refused := c.out.Refused
			err = c.compareRows(ctx, rows, func(Finding) { still = true })
			c.out.Refused = refused
		}
		if err != nil || still {
			return still, err
		}
	}
	if f.Seq == 0 {
		return false, nil
	}
	page, _, err := c.Node.messages(ctx, f.Room, f.Seq-1)
	if err != nil && chat.KindOf(err) != chat.NotFound {
		return false, err
	}
	if page = page[:min(1, len(page))]; len(page) > 0 && page[0].Seq != f.Seq {
		page = nil
	}
	err = c.compareMessages(ctx, f.Room, page, f.Seq-1, f.Seq, func(Finding) { still = true })
	return still, err
}

// Repair has the process that runs look at what was found once more. A row whose message is
// not in Roomtide any more is forgotten for that, and so imported again.
func (f *Files) Repair(ctx context.Context, found []Finding) error {
	var keys []source.Key
	err := f.State.write(ctx, func(tx *sql.Tx) error {
		for _, finding := range found {
			if finding.Key != "" {
				keys = append(keys, finding.Key)
			}
			var err error
			switch {
			case finding.What == NotMirrored:
				_, err = tx.ExecContext(ctx, "INSERT OR IGNORE INTO unmirrored (room, seq) VALUES (?, ?)", finding.Room, finding.Seq)
			case finding.What == NotImported && finding.Seq > 0:
				_, err = tx.ExecContext(ctx, "DELETE FROM rows WHERE room = ? AND seq = ? AND key = ?", finding.Room, finding.Seq, stateKey(finding.Key))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return f.State.addDirty(ctx, keys)
}
