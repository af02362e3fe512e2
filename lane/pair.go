package lane

// While slots move, one node owns the lane that they leave and the one that they go to, so
// that nothing passes between them over the network. The owner of the first lane asks for
// the second; the node that has it gives it up, and no other one takes it.

// pair is two lanes that one node should own: the owner of the first.
type pair struct{ first, second int }

// Pair says that the owner of the first lane should own the second too, on every node of a
// cluster; they are not spread meanwhile. It holds until the next call, or Unpair.
func (ls *Lanes) Pair(first, second int) {
	if ls.tenures == nil {
		return
	}
	if was := ls.tenures.pair.Swap(&pair{first, second}); was == nil || *was != (pair{first, second}) {
		ls.Try(second)
	}
}

// Unpair ends what Pair has begun.
func (ls *Lanes) Unpair() {
	if ls.tenures != nil {
		ls.tenures.pair.Store(nil)
	}
}

// Cede gives up a lane that the owner of the first lane of a pair wants, if it is the
// second one and this node is not that owner.
func (ls *Lanes) Cede(shard int) {
	if ls.tenures == nil || shard < 0 || shard >= len(ls.lanes) {
		return
	}
	ls.tenures.all[shard].wanted.Store(true)
	ls.Try(shard)
}

// isPaired reports whether the lane is one of a pair.
func (t *tenure) isPaired() bool {
	p := t.all.pair.Load()
	return p != nil && (p.first == t.shard || p.second == t.shard)
}

// isSecond reports whether the lane is for the owner of another one, which is not this
// node.
func (t *tenure) isSecond() bool {
	p := t.all.pair.Load()
	return p != nil && p.second == t.shard && !t.lanes.Owns(p.first)
}

// joins reports whether the lane should be this node's, beyond its share.
func (t *tenure) joins() bool {
	p := t.all.pair.Load()
	return p != nil && p.second == t.shard && t.lanes.Owns(p.first)
}
