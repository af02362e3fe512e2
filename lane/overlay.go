package lane

import "github.com/roomtide/roomtide/store"

// overlay is what a batch has done to rows that it does not keep by themselves: by the ID
// of their keys, the row as it is now, nil if it is deleted.
type overlay[R store.Row] map[string]map[store.RowKey]*R

func (o *overlay[R]) put(row R) { o.set(store.KeyOf(&row), &row) }

func (o *overlay[R]) drop(row *R) { o.set(store.KeyOf(row), nil) }

func (o *overlay[R]) set(k store.RowKey, row *R) {
	if *o == nil {
		*o = overlay[R]{}
	}
	if (*o)[k.ID] == nil {
		(*o)[k.ID] = map[store.RowKey]*R{}
	}
	(*o)[k.ID][k] = row
}

// over are the stored rows with an ID as they are now, and those of the batch beside them,
// as far as keep lets their keys pass.
func (o overlay[R]) over(stored []R, id string, keep func(store.RowKey) bool) []R {
	own := o[id]
	var rows []R
	for i := range stored {
		if _, written := own[store.KeyOf(&stored[i])]; !written {
			rows = append(rows, stored[i])
		}
	}
	for k, row := range own {
		if row != nil && keep(k) {
			rows = append(rows, *row)
		}
	}
	return rows
}

// one is the row with the key of row as it is now: row itself, as it is stored, unless the
// batch has written it. there says whether it exists; stored, whether it did before.
func (o overlay[R]) one(row R, stored bool) (now R, there bool) {
	k := store.KeyOf(&row)
	written, ok := o[k.ID][k]
	switch {
	case !ok:
		return row, stored
	case written == nil:
		return row, false
	}
	return *written, true
}

// write adds what is to be written, and deleted.
func (o overlay[R]) write(put *[]R, drop *[]store.RowKey) {
	for _, rows := range o {
		for k, row := range rows {
			if row == nil {
				*drop = append(*drop, k)
			} else {
				*put = append(*put, *row)
			}
		}
	}
}
