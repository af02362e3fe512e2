package store

import "context"

// Size is about how much a shard holds, copies and leftovers of slots that move
// included.
type Size struct {
	Rooms int64 `json:"rooms"` // deleted ones included
	Rows  int64 `json:"rows"`  // rooms, members and messages
	Bytes int64 `json:"bytes"` // of the database
}

// Sizer is a Driver that knows how large it is. It may take time that grows with the
// number of rooms, not with that of messages.
type Sizer interface {
	Size(ctx context.Context) (Size, error)
}

// Size is Sizer.Size; known is false for drivers that do not know.
func (r *Reader) Size(ctx context.Context) (size Size, known bool, err error) {
	d, known := r.driver.(Sizer)
	if !known {
		return Size{}, false, nil
	}
	size, err = ask(ctx, r, "size", d.Size)
	return size, err == nil, err
}
