package transfer

import (
	"context"
	"reflect"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// join is the stored side of two lists that are walked together.
type join[R store.Row] struct {
	next func(ctx context.Context) (*R, error)
	head *R // read, and not compared yet
	end  bool
}

// merge goes on to the row of the file, whose key is greater than those before, or to
// the end if it is nil: stored rows before it go, and the stored one with its key is
// compared.
func merge[R store.Row](ctx context.Context, r *roomImport, j *join[R], file *R, rows *store.Rows) error {
	for {
		if j.head == nil && !j.end {
			var err error
			if j.head, err = j.next(ctx); err != nil {
				return err
			}
			j.end = j.head == nil
		}
		order := 1 // of the stored row against that of the file
		if j.head != nil && file == nil {
			order = -1
		} else if j.head != nil {
			order = store.KeyOf(j.head).Compare(store.KeyOf(file))
		}
		switch {
		case order > 0 && file == nil:
			return nil
		case order > 0:
			return r.write(ctx, rows)
		case order == 0:
			same := reflect.DeepEqual(j.head, file)
			if j.head = nil; same {
				return nil
			}
			return r.write(ctx, rows)
		}
		extra := j.head
		j.head = nil
		if err := remove(ctx, r, extra); err != nil {
			return err
		}
	}
}

// remove deletes a stored row that the file does not have.
func remove[R store.Row](ctx context.Context, r *roomImport, row *R) error {
	if r.differs = true; r.mode != written {
		return nil
	}
	if m, ok := any(row).(*chat.Member); ok {
		if r.gone = append(r.gone, *m); len(r.gone) < pageRows {
			return nil
		}
		return r.endGone(ctx)
	}
	return r.out.drop(ctx, store.KeyOf(row))
}

// write writes rows that are not stored like that.
func (r *roomImport) write(ctx context.Context, rows *store.Rows) error {
	if r.differs = true; r.mode != written {
		return nil
	}
	return r.out.put(ctx, rows.Last().Slot(), rows)
}
