package redisingest

// Abandon ends the source as the death of its process does: it stays the reader for as
// long as it may.
func (s *Source) Abandon() { s.client.Close() }
