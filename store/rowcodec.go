package store

import (
	"encoding/binary"

	"github.com/roomtide/roomtide/chat"
)

// sameID marks the table of a key whose ID is that of the key before.
const sameID = 0x80

// keyFields says which fields beside ID the keys of a table have.
func keyFields(t Table) (seq, a, b bool) {
	switch t {
	case TableMembers, TableUserRooms:
		return false, true, false
	case TableMessages:
		return true, false, false
	case TableReactions:
		return true, true, true
	case TableOnline:
		return false, true, true
	}
	return false, false, false
}

func appendKeyList(b []byte, keys []RowKey) []byte {
	b = binary.AppendUvarint(b, uint64(len(keys)))
	for i := range keys {
		k := &keys[i]
		if i > 0 && k.ID == keys[i-1].ID {
			b = append(b, byte(k.Table)|sameID)
		} else {
			b = appendText(append(b, byte(k.Table)), k.ID)
		}
		seq, first, second := keyFields(k.Table)
		if seq {
			b = binary.AppendUvarint(b, uint64(k.Seq))
		}
		if first {
			b = appendText(b, k.A)
		}
		if second {
			b = appendText(b, k.B)
		}
	}
	return b
}

func (d *decoder) keys() []RowKey {
	before := ""
	keys := list(d, 1, func(k *RowKey) {
		t := d.byte()
		if k.Table = Table(t &^ sameID); k.Table < TableRooms || k.Table > TableAccess {
			d.fail(errKeys)
			return
		}
		if k.ID = before; t&sameID == 0 {
			k.ID = d.text()
		}
		before = k.ID
		seq, a, b := keyFields(k.Table)
		if seq {
			k.Seq = chat.Seq(d.number())
		}
		if a {
			k.A = d.text()
		}
		if b {
			k.B = d.text()
		}
	})
	return keys
}
