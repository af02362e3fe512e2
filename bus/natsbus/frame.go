package natsbus

import (
	"encoding/binary"
)

// A message on the bus is
//
//	version and kind   1 byte: whole or part
//	origin             8 bytes: the Bus that has published it
//	of a part: number of the batch, index of the part, number of parts,
//	           bytes of the batch (varints)
//	the bytes of the batch (bus.AppendBatch), or those of the part
//
// What begins with another byte is of a version to come, or no message of a bus.
const (
	whole byte = 0x11
	part  byte = 0x12
)

const (
	originBytes = 8
	// maxHeader is how many bytes precede those of a batch at most.
	maxHeader = 1 + originBytes + 4*binary.MaxVarintLen64

	// maxBatch is the largest batch that is carried, in bytes.
	maxBatch = 32 << 20
	// maxParts bounds what a part may say of its batch: no server has a max_payload
	// that needs more.
	maxParts = maxBatch / (1 << 10)
)

// frame is a message without its bytes of the batch.
type frame struct {
	kind   byte
	origin uint64

	// Of a part.
	number uint64 // of the batch, in the order of its publisher
	index  int    // 0…of-1
	of     int
	size   int // of the batch
}

// append writes the header.
func (f *frame) append(to []byte) []byte {
	to = binary.BigEndian.AppendUint64(append(to, f.kind), f.origin)
	if f.kind == part {
		for _, n := range [...]uint64{f.number, uint64(f.index), uint64(f.of), uint64(f.size)} {
			to = binary.AppendUvarint(to, n)
		}
	}
	return to
}

// readFrame reads the header and returns what is behind it. It reports false if the
// message is not of this bus, or says what no batch has.
func readFrame(data []byte) (f frame, rest []byte, ok bool) {
	if len(data) < 1+originBytes || data[0] != whole && data[0] != part {
		return f, nil, false
	}
	f = frame{kind: data[0], origin: binary.BigEndian.Uint64(data[1:])}
	rest = data[1+originBytes:]
	if f.kind == whole {
		return f, rest, true
	}
	var fields [4]uint64
	for i := range fields {
		n, read := binary.Uvarint(rest)
		if read <= 0 {
			return f, nil, false
		}
		fields[i], rest = n, rest[read:]
	}
	if fields[2] < 2 || fields[2] > maxParts || fields[1] >= fields[2] || fields[3] > maxBatch || len(rest) == 0 || uint64(len(rest)) > fields[3] {
		return f, nil, false
	}
	f.number, f.index, f.of, f.size = fields[0], int(fields[1]), int(fields[2]), int(fields[3])
	return f, rest, true
}
