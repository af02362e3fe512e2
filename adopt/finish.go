package adopt

import (
	"context"
	"strings"
	"time"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	silent    = 3 * time.Second // a process that has said nothing for so long has ended
	endWithin = time.Minute
)

// Finish ends a move behind its switch: the old table is left alone, and what was kept for
// the move in Roomtide goes. Unless keep is set, so does everything that was made for it in the
// old database; removed is what that was. A move that is finished can be finished again.
func (f *Files) Finish(ctx context.Context, keep bool) (removed []string, err error) {
	now, err := f.Node.Adoption(ctx)
	if err != nil {
		return nil, err
	}
	switch store.AdoptionState(now.State) {
	case store.AdoptionDone:
	case store.AdoptionSwitched:
		if _, err := f.Node.setAdoption(ctx, now, now.Source, string(store.AdoptionDone)); err != nil {
			return nil, err
		}
	default:
		return nil, chat.E(chat.Conflict, "only a move that is switched can be finished; it is in the state "+now.State)
	}
	if err := f.ended(ctx); err != nil {
		return nil, err
	}
	if err := f.Node.dropFeed(ctx, "adopt-"+feedName(f.Mapping.Source.Name)); err != nil || keep {
		return nil, err
	}
	return f.cleanUp(ctx)
}

// ended waits for the end of the process that runs, which learns that the move is finished.
func (f *Files) ended(ctx context.Context) error {
	over, cancel := context.WithTimeout(ctx, endWithin)
	defer cancel()
	for {
		b, err := f.State.Beat(ctx)
		if err != nil {
			return err
		}
		if time.Since(b.At) > silent {
			return nil
		}
		if pause(over, silent/10) != nil {
			return chat.E(chat.Conflict, `the move is finished, and "roomtide adopt run" still runs: end it, and call this again`)
		}
	}
}

// cleanUp removes what was made in the old database.
func (f *Files) cleanUp(ctx context.Context) (removed []string, err error) {
	src := address(f.Mapping, f.Mapping.Source.DSN)
	if source.IsFiles(src.DSN) {
		return nil, nil
	}
	removed, err = follow.Remove(ctx, follow.Config{Source: src, Secret: f.secret})
	if err != nil {
		return removed, err
	}
	dsn := f.Mapping.Mirror.DSN
	if dsn == "" {
		dsn = f.Mapping.Source.DSN
	}
	db, _, err := source.Dial(address(f.Mapping, dsn), f.secret, true)
	if err != nil {
		return removed, err
	}
	defer db.Close()
	for _, table := range []string{mapTable, feedTable} {
		if rows, err := db.QueryContext(ctx, "SELECT 1 FROM "+table+" WHERE 1 = 0"); err != nil {
			if source.Passes(err) {
				return removed, err
			}
			continue // it is not there
		} else if err := rows.Close(); err != nil {
			return removed, err
		}
		if _, err := db.ExecContext(ctx, "DROP TABLE "+table); err != nil {
			return removed, &chat.Error{Kind: chat.Forbidden, Op: "adopt.finish", Err: err,
				Text: "the table " + table + " cannot be removed: let an administrator run DROP TABLE " + strings.Join([]string{mapTable, feedTable}, ", ")}
		}
		removed = append(removed, "table "+table)
	}
	return removed, nil
}
