package store

// Space is the room left in an answer, in items and in bytes. A driver takes each
// item it is about to return, and stops at the first that does not fit: so neither
// the answer nor what is read for it grows with the size of what is stored.
type Space struct {
	Items int
	Bytes int // 0: no bound

	taken, used int
}

// Take reports whether an item of so many bytes still fits, and takes the space if
// it does. The first item always fits in bytes, so that every answer goes on.
func (s *Space) Take(bytes int) bool {
	if s.taken >= s.Items || s.taken > 0 && s.Bytes > 0 && s.used+bytes > s.Bytes {
		return false
	}
	s.taken++
	s.used += bytes
	return true
}
