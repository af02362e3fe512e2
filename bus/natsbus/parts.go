package natsbus

// assembly puts batches together that came in several messages. A publisher sends the
// parts of one batch in their order and without others of its own in between, so there
// is one unfinished batch for each publisher, and a part that is not the next one means
// that the batch is lost. It belongs to the goroutine of the subscription.
type assembly struct {
	unfinished map[uint64]*pieces // by publisher
	bytes      int                // in all of them
	clock      uint64             // messages so far, to find the oldest
}

// pieces is a batch of which parts are missing.
type pieces struct {
	first frame // the frame of its first part
	next  int   // index of the part that is awaited; -1: the batch is lost
	data  []byte
	used  uint64 // clock of its last part
}

const (
	// maxUnfinished bounds the publishers with an unfinished batch: those that have
	// ended in the middle of one leave theirs behind.
	maxUnfinished = 64
	// maxAssembled bounds the bytes of all unfinished batches.
	maxAssembled = 2 * maxBatch
)

// add takes a part. It returns the batch if that is complete, and how many batches
// turned out to be lost.
func (a *assembly) add(f frame, data []byte) (batch []byte, lost int) {
	a.clock++
	p := a.unfinished[f.origin]
	if p != nil && p.first.number != f.number { // the rest of that one never came
		lost += a.drop(f.origin)
		p = nil
	}
	if p == nil {
		p = &pieces{first: f}
		lost += a.room()
		a.unfinished[f.origin] = p
	}
	p.used = a.clock
	if p.next < 0 {
		return nil, lost
	}
	if f.index != p.next || f.of != p.first.of || f.size != p.first.size || len(p.data)+len(data) > f.size {
		return nil, lost + a.fail(p)
	}
	lost += a.fit(len(data), p)
	p.data = append(p.data, data...) // grows with what has come, not with what was announced
	p.next++
	a.bytes += len(data)
	if p.next < p.first.of {
		return nil, lost
	}
	batch = p.data
	if len(batch) != f.size {
		return nil, lost + a.fail(p)
	}
	a.drop(f.origin)
	return batch, lost
}

// fail gives a batch up. Its further parts are ignored, and it is counted once.
func (a *assembly) fail(p *pieces) int {
	a.bytes -= len(p.data)
	p.data, p.next = nil, -1
	return 1
}

// drop forgets a publisher's batch, and counts it if that is a loss not yet counted.
func (a *assembly) drop(origin uint64) int {
	p := a.unfinished[origin]
	delete(a.unfinished, origin)
	a.bytes -= len(p.data)
	if p.next < 0 || p.next == p.first.of {
		return 0
	}
	return 1
}

// room makes place for one more publisher.
func (a *assembly) room() (lost int) {
	for len(a.unfinished) >= maxUnfinished {
		lost += a.drop(a.oldest(nil))
	}
	return lost
}

// fit makes place for more bytes of a batch.
func (a *assembly) fit(more int, of *pieces) (lost int) {
	for a.bytes+more > maxAssembled {
		lost += a.drop(a.oldest(of))
	}
	return lost
}

// oldest returns the publisher that has not sent a part for the longest time, but for
// that of except. There is one: a single batch fits.
func (a *assembly) oldest(except *pieces) (origin uint64) {
	var found *pieces
	for o, p := range a.unfinished {
		if p != except && (found == nil || p.used < found.used) {
			origin, found = o, p
		}
	}
	return origin
}
