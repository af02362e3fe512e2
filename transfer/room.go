package transfer

import (
	"context"
	"fmt"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// mode is what happens to a room.
type mode int

const (
	written  mode = iota // made as in the file, whatever is there of it
	compared             // is there; what differs is a conflict
	skipped
)

// roomImport is the import of one room. Its rows and those that are stored are walked
// together, both in ascending order.
type roomImport struct {
	*importer
	file   chat.Room
	stored *chat.Room // nil: there is none
	mode   mode

	// shift is added to every rev, so that those of an earlier room of the id are not
	// used again: clients that know one of these start over (chat.Room.Floor).
	shift chat.Rev

	last    store.RowKey // of the rows in the file
	paired  bool         // the user's side of the last member was seen
	seen    seen
	differs bool // mode compared: other rows were found

	// Members whose side of the room is not written yet.
	members []chat.Member
	theirs  []*store.UserRoom // of members; nil: the file has none
	gone    []chat.Member     // stored, and not in the file

	memberOf join[chat.Member]
	message  join[chat.Message]
	reaction join[store.ReactionChange]
}

// startRoom decides what happens to a room.
func (im *importer) startRoom(ctx context.Context, file *chat.Room) error {
	if err := im.goTo(ctx, file); err != nil {
		return err
	}
	found, err := im.st.Room(file.ID).RowsByKey(ctx, []store.RowKey{store.KeyOf(file)})
	if err != nil {
		return err
	}
	r := &roomImport{importer: im, file: *file}
	im.room = r
	if len(found.Rooms) > 0 {
		r.stored = &found.Rooms[0]
	}
	r.decide()
	c, of := im.contents, string(file.ID)
	r.memberOf.next = func(ctx context.Context) (*chat.Member, error) { return c.members.of(ctx, of) }
	r.message.next = func(ctx context.Context) (*chat.Message, error) { return c.messages.of(ctx, of) }
	r.reaction.next = func(ctx context.Context) (*store.ReactionChange, error) { return c.reactions.of(ctx, of) }
	if r.mode == written && r.stored != nil && !r.stored.Deleted && im.out != nil {
		return r.hide(ctx)
	}
	return nil
}

// goTo brings the cursors before a room. They do not go back, and see what is
// committed.
func (im *importer) goTo(ctx context.Context, room *chat.Room) error {
	k := store.KeyOf(room)
	ahead := im.contents != nil && im.contents.slot == k.Slot() && k.Compare(im.last) > 0
	im.last = k
	if ahead {
		return nil
	}
	im.contents = newContents(im.st.Room(room.ID), k.Slot())
	if im.out == nil {
		return nil
	}
	return im.out.flush(ctx)
}

// decide sets mode and shift.
func (r *roomImport) decide() {
	old := r.stored
	if old == nil {
		if base := r.st.Base(); base > 0 { // clients may know revs of a room that a restore has undone
			r.shift = max(0, base-r.file.Floor)
		}
		return
	}
	// As an import of this file has left it, at its end or before.
	if r.shift = old.Floor - r.file.Floor; r.shift >= 0 {
		if r.shifted() == *old && !r.differ[r.file.ID] {
			r.mode = compared
			return
		}
		if r.hidden() == *old {
			return
		}
	}
	r.shift = max(0, old.Rev-r.file.Floor)
	if old.Deleted {
		if r.file.Deleted {
			r.mode = skipped // both are gone
		}
		return
	}
	switch {
	case r.existing == Skip:
		r.mode = skipped
	case r.existing == Refuse:
		r.conflict(r.file.ID)
		r.mode = skipped
	}
}

func (im *importer) conflict(id chat.RoomID) {
	if len(im.conflicts) <= namedConflicts {
		im.conflicts = append(im.conflicts, id)
	}
}

// shifted is the room as it is to be stored.
func (r *roomImport) shifted() chat.Room {
	room := r.file
	room.Floor += r.shift
	room.Rev += r.shift
	if room.InfoRev > 0 {
		room.InfoRev += r.shift
	}
	return room
}

// hidden is the row of a room that is being replaced: deleted, so that it is not to be
// seen half replaced, and with the revs that it will have.
func (r *roomImport) hidden() chat.Room {
	room := r.shifted()
	room.Deleted, room.LastSeq, room.Members = true, 0, 0
	return room
}

func (r *roomImport) hide(ctx context.Context) error {
	slot := r.file.ID.Slot()
	if err := r.out.put(ctx, slot, &store.Rows{Rooms: []chat.Room{r.hidden()}}); err != nil {
		return err
	}
	return r.out.flushShard(ctx, r.st.ShardOf(slot))
}

// row takes a row of the room.
func (r *roomImport) row(ctx context.Context, row *store.Rows) error {
	r.seen.add(row)
	r.last, r.paired = row.Last(), false
	switch {
	case r.mode == skipped || r.idle():
		return nil
	case len(row.Members) > 0:
		m := row.Members[0]
		if len(r.members) >= pageRows {
			if err := r.endMembers(ctx); err != nil {
				return err
			}
		}
		r.members, r.theirs = append(r.members, m), append(r.theirs, nil)
		m.Rev += r.shift
		return merge(ctx, r, &r.memberOf, &m, &store.Rows{Members: []chat.Member{m}})
	case len(row.Messages) > 0:
		m := row.Messages[0]
		m.Rev += r.shift
		m.Created += r.shift
		return merge(ctx, r, &r.message, &m, &store.Rows{Messages: []chat.Message{m}})
	default:
		c := row.Reactions[0]
		return merge(ctx, r, &r.reaction, &c, &store.Rows{Reactions: []store.ReactionChange{c}})
	}
}

// setUserRoom takes the user's side of the member before it, which has none yet.
func (r *roomImport) setUserRoom(u *store.UserRoom) bool {
	if r.last.Table != store.TableMembers || r.last.A != string(u.User) || r.paired {
		return false
	}
	r.paired = true
	if n := len(r.theirs); n > 0 {
		r.theirs[n-1] = u
	}
	return true
}

// endRoom finishes the room, if there is one: what is stored and not in the file goes,
// and the row of the room comes last.
func (im *importer) endRoom(ctx context.Context) error {
	r := im.room
	im.room = nil
	if r == nil {
		return nil
	}
	if text := r.seen.wrong(&r.file); text != "" {
		return chat.E(chat.Invalid, fmt.Sprintf("room %q, which ends before line %d, is not whole: %s", r.file.ID, im.in.line, text))
	}
	if r.mode == skipped {
		if !r.file.Deleted || !r.stored.Deleted {
			im.result.Skipped++
		}
		return nil
	}
	if r.idle() {
		return nil
	}
	for _, rest := range []func() error{
		func() error { return merge(ctx, r, &r.memberOf, nil, nil) },
		func() error { return merge(ctx, r, &r.message, nil, nil) },
		func() error { return merge(ctx, r, &r.reaction, nil, nil) },
		func() error { return r.endMembers(ctx) },
		func() error { return r.endGone(ctx) },
	} {
		if err := rest(); err != nil {
			return err
		}
	}
	return r.finish(ctx)
}

// idle reports whether there is nothing to do: a room that will be written does not
// have to be compared first.
func (r *roomImport) idle() bool { return r.mode == written && r.out == nil }

func (r *roomImport) finish(ctx context.Context) error {
	switch {
	case r.mode == compared && r.differs && r.out != nil:
		return chat.E(chat.Conflict, fmt.Sprintf("room %q has changed meanwhile, or is in the file twice", r.file.ID))
	case r.mode == compared && r.differs:
		if r.conflict(r.file.ID); r.differ == nil {
			r.differ = map[chat.RoomID]bool{}
		}
		r.differ[r.file.ID] = true
		return nil
	case r.mode == compared:
		r.result.Same++
		return nil
	case r.stored != nil && !r.stored.Deleted:
		r.result.Replaced++
	default:
		r.result.New++
	}
	if r.stored != nil {
		// What the file says of users counts in mode written alone, which the same import
		// does not find again once the row of the room is there.
		if err := r.out.flush(ctx); err != nil {
			return err
		}
	}
	room := r.shifted()
	return r.out.put(ctx, room.ID.Slot(), &store.Rows{Rooms: []chat.Room{room}})
}

// seen is what the rows of a room in the file were.
type seen struct {
	present  int
	messages chat.Seq
	created  chat.Rev
	rev      chat.Rev // the greatest
	gap      bool     // messages are not numbered 1, 2, 3…, or their revs of creation do not ascend
}

func (s *seen) add(row *store.Rows) {
	for i := range row.Members {
		m := &row.Members[i]
		if s.rev = max(s.rev, m.Rev); m.Role.Present() {
			s.present++
		}
	}
	for i := range row.Messages {
		m := &row.Messages[i]
		s.messages++
		s.gap = s.gap || m.Seq != s.messages || m.Created <= s.created || m.Rev < m.Created
		s.created, s.rev = m.Created, max(s.rev, m.Rev)
	}
}

// wrong says what does not fit the row of the room, as Check would.
func (s *seen) wrong(r *chat.Room) string {
	switch {
	case r.Deleted && s.rev > 0:
		return "it is deleted and has rows"
	case r.Deleted:
		return ""
	case s.gap:
		return "its messages are not numbered 1, 2, 3…, or their revs do not ascend"
	case s.messages != r.LastSeq:
		return fmt.Sprintf("it has %d messages, and last_seq is %d", s.messages, r.LastSeq)
	case s.present != r.Members:
		return fmt.Sprintf("it has %d members, and the line of the room says %d", s.present, r.Members)
	case s.rev > r.Rev || r.InfoRev > r.Rev || r.Floor > r.Rev:
		return fmt.Sprintf("something in it has a later rev than the room, which has %d", r.Rev)
	}
	return ""
}

// endMembers writes the users' sides of the members that are gathered.
func (r *roomImport) endMembers(ctx context.Context) error {
	ms, theirs := r.members, r.theirs
	r.members, r.theirs = nil, nil
	if len(ms) == 0 || r.out == nil {
		return nil
	}
	there, err := userRooms(ctx, r.st, ms)
	if err != nil {
		return err
	}
	for i := range ms {
		old, ok := there[ms[i].User]
		if r.mode == compared && ok && old.Rev >= ms[i].Rev+r.shift {
			continue // they may have read further
		}
		u, wanted := r.project(&ms[i], theirs[i], old)
		if !wanted || ok && u == old {
			continue
		}
		if err := r.out.put(ctx, u.User.Slot(), &store.Rows{UserRooms: []store.UserRoom{u}}); err != nil {
			return err
		}
	}
	return nil
}

// endGone deletes members who are not in the file. Their lists of rooms come first: when
// the member is gone, nothing says any more that there is something to do.
func (r *roomImport) endGone(ctx context.Context) error {
	gone := r.gone
	r.gone = nil
	if len(gone) == 0 {
		return nil
	}
	there, err := userRooms(ctx, r.st, gone)
	if err != nil {
		return err
	}
	for _, u := range there {
		if !u.Role.Present() {
			continue
		}
		u.Role, u.Read, u.Rev = chat.RoleNone, 0, max(u.Rev, r.file.Floor+r.shift)
		if err := r.out.put(ctx, u.User.Slot(), &store.Rows{UserRooms: []store.UserRoom{u}}); err != nil {
			return err
		}
	}
	if err := r.out.flush(ctx); err != nil {
		return err
	}
	for i := range gone {
		if err := r.out.drop(ctx, store.KeyOf(&gone[i])); err != nil {
			return err
		}
	}
	return nil
}

// project is the user's side of a member: as in the file, but not behind the member;
// without it made as it would be for a new member.
func (r *roomImport) project(m *chat.Member, file *store.UserRoom, old store.UserRoom) (u store.UserRoom, wanted bool) {
	rev := m.Rev + r.shift
	if file == nil {
		u = store.UserRoom{User: m.User, Room: m.Room, Role: m.Role, Rev: rev}
		if m.Role.Present() {
			u.Read = r.file.LastSeq
		}
		return u, m.Role.Present() || old != (store.UserRoom{})
	}
	u = *file
	if u.Rev > 0 {
		u.Rev += r.shift
	}
	if u.Rev < rev {
		u.Role, u.Rev = m.Role, rev
	}
	return u, true
}
