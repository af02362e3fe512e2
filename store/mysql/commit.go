package mysql

import (
	"fmt"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

const (
	// fence moves the lane. If it does not stand where the commit says, the position
	// becomes NULL, which is an error, so that the rest of the packet is not run.
	fence = "UPDATE {lanes} SET position = IF(epoch = ? AND position = ?, ?, NULL) WHERE lane = ?"

	updateMessage = "UPDATE {messages} SET changed_rev = ?, body = ?, data = ?, edited = ?, deleted = ?, mentions = ? WHERE slot = ? AND room_id = ? AND seq = ?"
	trimOutbox    = "DELETE FROM {outbox} WHERE lane = ? AND position <= (SELECT min(position) FROM {cursors} WHERE lane = ?)"
)

// commit collects the statements of one transaction.
type commit struct {
	db    *database
	parts []part
}

// part is a statement in the common form, and about how long it is when it is sent.
type part struct {
	text string
	args []any
	size int
}

// packets are the statements of a commit, in as few packets as the server takes: one
// almost always.
func (db *database) packets(lane store.LaneID, at store.Position, ch *store.Changes) ([]*packet, error) {
	c := commit{db: db}
	c.add("START TRANSACTION")
	c.add(fence, at.Epoch, at.N, at.Next().N, int64(lane))
	if ch.Taken != nil {
		c.replace(&sqldb.Taken, 1, func(args []any, _ int) []any { return sqldb.TakenValues(args, lane, ch.Taken) })
	}
	c.put(ch)
	c.putOutbox(lane, at.Next().N, ch)
	if err := c.move(ch); err != nil {
		return nil, err
	}
	c.add(end)
	return c.packets()
}

func (c *commit) packets() ([]*packet, error) {
	var out []*packet
	var p *packet
	room := 0
	for i := range c.parts {
		s := &c.parts[i]
		if s.size > c.db.maxPacket {
			return nil, &chat.Error{Kind: chat.Internal, Op: "mysql.commit", Subject: c.db.o.Name,
				Err: fmt.Errorf("a statement of %d bytes, max_allowed_packet is %d", s.size, c.db.maxPacket)}
		}
		if p == nil || s.size > room {
			p = new(packet)
			out, room = append(out, p), c.db.maxPacket
		}
		p.add(c.db.d.SQL(s.text), s.args)
		room -= s.size
	}
	return out, nil
}

func (c *commit) add(text string, args ...any) {
	size := len(text) + strings.Count(text, "{")*len(c.db.d.Prefix) + 2
	for _, a := range args {
		size += argSize(a)
	}
	c.parts = append(c.parts, part{text, args, size})
}

// argSize is at least how long the text of an argument is.
func argSize(a any) int {
	switch a := a.(type) {
	case string:
		return 2*len(a) + 16
	case []byte:
		return 2*len(a) + 16
	}
	return 24
}

// How many rows, and bytes of them, are in one statement.
const (
	rowsAtOnce  = 1000
	bytesAtOnce = 512 << 10
)

// rows inserts n rows of a table; suffix says what to do with those that are there.
func (c *commit) rows(t *sqldb.Table, suffix string, n int, row func(args []any, i int) []any) {
	c.values(t, t.Insert(), suffix, n, row)
}

// values is rows with the beginning of the statement.
func (c *commit) values(t *sqldb.Table, insert, suffix string, n int, row func(args []any, i int) []any) {
	tuple := sqldb.Tuple(len(t.Columns))
	for i := 0; i < n; {
		args := make([]any, 0, min(n-i, rowsAtOnce)*len(t.Columns))
		var text strings.Builder
		text.WriteString(insert)
		size := 0
		for first := i; i < n && i < first+rowsAtOnce && size < bytesAtOnce; i++ {
			if i > first {
				text.WriteByte(',')
			}
			text.WriteString(tuple)
			from := len(args)
			args = row(args, i)
			for _, a := range args[from:] {
				size += argSize(a)
			}
		}
		text.WriteString(suffix)
		c.add(text.String(), args...)
	}
}

// replace inserts or replaces n rows.
func (c *commit) replace(t *sqldb.Table, n int, row func(args []any, i int) []any) {
	if n > 0 {
		c.rows(t, c.db.d.Replacing(t), n, row)
	}
}

// keysAtOnce is how many keys are looked up in one statement.
const keysAtOnce = 200

// byKeys adds statements about the rows of a table t with n keys: before, the join of
// the keys with the table, and after.
func (c *commit) byKeys(before string, t *sqldb.Table, key []sqldb.Column, n int, values func(args []any, i int) []any, after string) {
	for i := 0; i < n; {
		last := min(n, i+keysAtOnce)
		text := before + keyTable(key, last-i) + " STRAIGHT_JOIN {" + t.Name + "} t ON " + isKey("t.", key) + after
		var args, one []any
		for ; i < last; i++ {
			one = values(one[:0], i)
			args = keyValues(args, one)
		}
		c.add(text, args...)
	}
}

// delete deletes the rows with n keys.
func (c *commit) delete(t *sqldb.Table, n int, values func(args []any, i int) []any) {
	c.byKeys("DELETE t FROM ", t, t.Columns[:t.Key], n, values, "")
}

// put writes the rows of everything but the outbox and what moves between shards.
func (c *commit) put(ch *store.Changes) {
	c.replace(&sqldb.Rooms, len(ch.Rooms), func(args []any, i int) []any { return sqldb.RoomValues(args, &ch.Rooms[i]) })
	c.replace(&sqldb.Members, len(ch.Members), func(args []any, i int) []any { return sqldb.MemberValues(args, &ch.Members[i]) })
	c.rows(&sqldb.Messages, "", len(ch.Insert), func(args []any, i int) []any { return sqldb.MessageValues(args, &ch.Insert[i]) })
	c.update(ch.Update)
	c.react(ch.Reactions)
	c.unreact(ch.Unreact)
	c.replace(&sqldb.UserRooms, len(ch.UserRooms), func(args []any, i int) []any { return sqldb.UserRoomValues(args, &ch.UserRooms[i]) })
	c.replace(&sqldb.Users, len(ch.Users), func(args []any, i int) []any { return sqldb.UserValues(args, &ch.Users[i]) })
	c.replace(&sqldb.Access, len(ch.Access), func(args []any, i int) []any { return sqldb.AccessValues(args, &ch.Access[i]) })
	c.replace(&sqldb.Devices, len(ch.Devices), func(args []any, i int) []any { return sqldb.DeviceValues(args, &ch.Devices[i]) })
	c.replace(&sqldb.PushSettings, len(ch.PushSettings), func(args []any, i int) []any { return sqldb.PushSettingsValues(args, &ch.PushSettings[i]) })
	c.replace(&sqldb.PushJobs, len(ch.PushJobs), func(args []any, i int) []any { return sqldb.PushJobValues(args, &ch.PushJobs[i]) })
	c.replace(&sqldb.PushOwners, len(ch.PushOwners), func(args []any, i int) []any { return sqldb.PushOwnerValues(args, &ch.PushOwners[i]) })
	c.replace(&sqldb.UserNodes, len(ch.UserNodes), func(args []any, i int) []any { return sqldb.UserNodesValues(args, &ch.UserNodes[i]) })
	c.online(ch.Online)
	for _, r := range ch.Removals {
		c.remove(r)
	}
}

// update changes messages. Before that, the statement exist fails if one of them is
// missing: its subquery has a second row then.
func (c *commit) update(ms []chat.Message) {
	const exist = "SET @roomtide = (SELECT 1 UNION ALL SELECT 1 FROM (SELECT count(*) n FROM "
	key := sqldb.Messages.Columns[:sqldb.Messages.Key]
	for i := 0; i < len(ms); i += keysAtOnce {
		some := ms[i:min(len(ms), i+keysAtOnce)]
		c.byKeys(exist, &sqldb.Messages, key, len(some), func(args []any, i int) []any {
			return append(args, int64(some[i].Room.Slot()), string(some[i].Room), int64(some[i].Seq))
		}, fmt.Sprintf(") x WHERE x.n <> %d)", len(some)))
	}
	for i := range ms {
		m := &ms[i]
		var data any
		if m.Data != nil {
			data = m.Data
		}
		c.add(updateMessage, int64(m.Rev), m.Text, data, m.Edited, sqldb.Flag(m.Deleted), store.JoinMentions(m.Mentions),
			int64(m.Room.Slot()), string(m.Room), int64(m.Seq))
	}
}

// online notes who is online, in the order of the changes.
func (c *commit) online(changes []store.OnlineChange) {
	for i := 0; i < len(changes); {
		first := i
		for i < len(changes) && changes[i].On {
			i++
		}
		if some := changes[first:i]; len(some) > 0 {
			c.rows(&sqldb.Online, " ON DUPLICATE KEY UPDATE node = VALUES(node)", len(some),
				func(args []any, i int) []any { return sqldb.OnlineValues(args, &some[i]) })
			continue
		}
		if changes[i].Room == "" {
			c.add("DELETE FROM {online} WHERE node = ?", changes[i].Node)
		} else {
			c.delete(&sqldb.Online, 1, func(args []any, _ int) []any { return sqldb.OnlineValues(args, &changes[i]) })
		}
		i++
	}
}

// remove deletes rows of a room that is being removed.
func (c *commit) remove(r *store.Removal) {
	slot, room := int64(r.Room.Slot()), string(r.Room)
	c.delete(&sqldb.Members, len(r.Members), func(args []any, i int) []any {
		return append(args, slot, room, string(r.Members[i].User))
	})
	c.unreactKeys(r.Reactions)
	if r.To > 0 {
		c.add("DELETE FROM {messages} WHERE slot = ? AND room_id = ? AND seq BETWEEN ? AND ?", slot, room, int64(r.From), int64(r.To))
	}
	c.delete(&sqldb.Online, len(r.Online), func(args []any, i int) []any {
		return append(args, slot, room, string(r.Online[i].User), r.Online[i].Node)
	})
}

// putOutbox writes the commit's outbox entry and the cursors, and deletes what every
// consumer has passed.
func (c *commit) putOutbox(lane store.LaneID, position int64, ch *store.Changes) {
	if ch.Outbox != nil {
		c.rows(&sqldb.Outbox, "", 1, func(args []any, _ int) []any { return append(args, int64(lane), position, ch.Outbox) })
	}
	for _, cur := range ch.Cursors {
		if cur.Drop {
			c.add("DELETE FROM {cursors} WHERE lane = ? AND consumer = ?", int64(lane), cur.Consumer)
			continue
		}
		c.replace(&sqldb.Cursors, 1, func(args []any, _ int) []any { return append(args, int64(lane), cur.Consumer, cur.Position) })
	}
	if len(ch.Cursors) > 0 {
		c.add(trimOutbox, int64(lane), int64(lane))
	}
}
