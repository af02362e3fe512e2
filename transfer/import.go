package transfer

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Existing says what to do with rooms that exist with other content than in the file.
type Existing string

const (
	Refuse  Existing = "refuse"  // nothing is written at all
	Skip    Existing = "skip"    // the room stays as it is
	Replace Existing = "replace" // the room becomes as in the file; its revs go on beyond those it had
)

// Result says what an import has found and done.
type Result struct {
	Counts         // in the file
	New      int64 // rooms written
	Same     int64 // rooms that were there as in the file
	Skipped  int64 // rooms left as they were
	Replaced int64
	Kept     int64 // users with another profile, which they keep
	Written  int64 // rows written or deleted
}

// Import reads a file twice: first all of it to verify it and to look for rooms that
// exist with other content, then to write. After an error of the first part nothing
// was written. After one of the second, the same import goes on where it was: what
// is there already is compared and passed over, and a room is not to be seen before
// all of it is written. What an import has finished, the same import does not change.
//
// A user who exists keeps their profile, unless existing is Replace. Revoked tokens
// stay revoked. Where the file says nothing of a member's read mark, everything is
// read. Invalid for a file that is damaged or holds a user, Conflict for Refuse.
func Import(ctx context.Context, st *store.Store, file io.ReadSeeker, existing Existing, p Progress) (Result, error) {
	first := &importer{st: st, existing: existing, progress: p, step: "verified"}
	if err := first.run(ctx, file); err != nil {
		return Result{}, err
	}
	if len(first.conflicts) > 0 && existing == Refuse {
		return Result{}, conflict(first.conflicts)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return Result{}, err
	}
	second := &importer{st: st, existing: existing, progress: p, step: "imported", differ: first.differ, out: newOutput(st)}
	err := second.run(ctx, file)
	return second.result, err
}

// conflict names rooms that exist with other content.
func conflict(rooms []chat.RoomID) error {
	var names []string
	for _, id := range rooms[:min(len(rooms), namedConflicts)] {
		names = append(names, fmt.Sprintf("%q", id))
	}
	text := "rooms that exist have other content than in the file: " + strings.Join(names, ", ")
	if len(rooms) > namedConflicts {
		text += " and more"
	}
	return chat.E(chat.Conflict, text+`; nothing was imported ("skip" leaves such rooms as they are, "replace" makes them as in the file)`)
}

// namedConflicts is how many rooms an error names.
const namedConflicts = 10

// importer goes through a file once.
type importer struct {
	// Set once.
	st       *store.Store
	existing Existing
	progress Progress
	step     string               // for progress
	out      *output              // nil: nothing is written, only compared
	differ   map[chat.RoomID]bool // rooms that differ although their own rows do not

	in       *reader
	result   Result
	told     int64 // rows when progress was called last
	room     *roomImport
	contents *contents // of the slot of the room that was last
	last     store.RowKey
	users    store.Rows // of users, to be decided

	conflicts []chat.RoomID // up to one more than are named
}

func (im *importer) run(ctx context.Context, file io.Reader) error {
	var err error
	if im.in, err = newReader(file); err != nil {
		return err
	}
	if h := im.in.header.Holds; h != HoldsAll && h != HoldsRoom {
		return chat.E(chat.Invalid, fmt.Sprintf("the file holds %q and not whole rooms: it cannot be imported", h))
	}
	for {
		row, err := im.in.next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = im.row(ctx, row)
		}
		if err != nil {
			return err
		}
		if n := im.in.counts.Rows(); n-im.told >= progressRows {
			im.told = n
			im.progress(im.step, im.in.counts)
		}
		if err := ctx.Err(); err != nil {
			return &chat.Error{Kind: chat.Unavailable, Op: "transfer.import", Err: err, Text: "interrupted: the same import goes on where it was"}
		}
	}
	if err := im.endRoom(ctx); err != nil {
		return err
	}
	if err := im.endUsers(ctx); err != nil {
		return err
	}
	im.result.Counts = im.in.counts
	im.progress(im.step, im.in.counts)
	if im.out == nil {
		return nil
	}
	err = im.out.flush(ctx)
	im.result.Written = im.out.rows
	return err
}

// row takes one row.
func (im *importer) row(ctx context.Context, row *store.Rows) error {
	switch {
	case len(row.PushJobs) > 0:
		return im.in.fail("what waits to be pushed is not imported")
	case len(row.Users)+len(row.Access)+len(row.Devices)+len(row.PushSettings)+len(row.PushOwners) > 0:
		if im.users.Add(row); im.users.Len() >= pageRows {
			return im.endUsers(ctx)
		}
		return nil
	case len(row.Online)+len(row.UserNodes) > 0:
		return im.in.fail("who is online is not imported")
	case len(row.Rooms) > 0:
		if err := im.endRoom(ctx); err != nil {
			return err
		}
		return im.startRoom(ctx, &row.Rooms[0])
	}
	room := im.room
	if room == nil || room.file.ID != roomOf(row) {
		return im.in.fail("a row of a room does not follow the line of its room")
	}
	if len(row.UserRooms) > 0 {
		if !room.setUserRoom(&row.UserRooms[0]) {
			return im.in.fail("a user_room does not follow the line of its member")
		}
		return nil
	}
	if row.Last().Compare(room.last) <= 0 {
		return im.in.fail("the rows of a room are not in ascending order, or one is there twice")
	}
	return room.row(ctx, row)
}

func roomOf(row *store.Rows) chat.RoomID {
	if len(row.UserRooms) > 0 {
		return row.UserRooms[0].Room
	}
	return chat.RoomID(row.Last().ID)
}

// endUsers decides the users that are gathered.
func (im *importer) endUsers(ctx context.Context) error {
	users := im.users
	im.users = store.Rows{}
	if im.out == nil || users.Len() == 0 {
		return nil
	}
	there, err := im.st.RowsByKey(ctx, users.Keys())
	if err != nil {
		return err
	}
	for _, err := range []error{
		putRows(ctx, im, there.Users, users.Users, func(r *store.Rows) *[]chat.User { return &r.Users }),
		putRows(ctx, im, there.Devices, users.Devices, func(r *store.Rows) *[]chat.Device { return &r.Devices }),
		putRows(ctx, im, there.PushSettings, users.PushSettings, func(r *store.Rows) *[]chat.PushSettings { return &r.PushSettings }),
		putRows(ctx, im, there.PushOwners, users.PushOwners, func(r *store.Rows) *[]store.PushOwner { return &r.PushOwners }),
	} {
		if err != nil {
			return err
		}
	}
	access := map[chat.UserID]chat.Access{}
	for _, a := range there.Access {
		access[a.User] = a
	}
	for _, a := range users.Access {
		old := access[a.User]
		a.NotBefore, a.Claimed = max(a.NotBefore, old.NotBefore), a.Claimed || old.Claimed
		if _, ok := access[a.User]; ok && a == old {
			continue
		}
		if err := im.out.put(ctx, a.User.Slot(), &store.Rows{Access: []chat.Access{a}}); err != nil {
			return err
		}
	}
	return nil
}

// putRows writes the rows of a file that are not there, and where it may replace, those
// that differ.
func putRows[R interface {
	store.Row
	comparable
}](ctx context.Context, im *importer, there, file []R, list func(*store.Rows) *[]R) error {
	stored := make(map[store.RowKey]R, len(there))
	for i := range there {
		stored[store.KeyOf(&there[i])] = there[i]
	}
	for i := range file {
		key := store.KeyOf(&file[i])
		switch old, ok := stored[key]; {
		case ok && old == file[i]:
		case ok && im.existing != Replace:
			im.result.Kept++
		default:
			var rows store.Rows
			*list(&rows) = file[i : i+1]
			if err := im.out.put(ctx, key.Slot(), &rows); err != nil {
				return err
			}
		}
	}
	return nil
}
