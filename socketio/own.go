package socketio

import "slices"

// handlers are those that a program has set for one socket.
type handlers struct {
	last int
	list []handler
}

type handler struct {
	id   int
	name string
	once bool
	run  func(*Event)
}

// On adds a function that runs for every event of this socket with that name, behind
// those of the namespace, and returns what takes it away again.
func (s *Socket) On(name string, f func(*Event)) (off func()) { return s.on(name, false, f) }

// Once is On for the next event only.
func (s *Socket) Once(name string, f func(*Event)) (off func()) { return s.on(name, true, f) }

// Off takes away all that On and Once added for a name.
func (s *Socket) Off(name string) { s.off(func(h handler) bool { return h.name == name }) }

func (s *Socket) on(name string, once bool, f func(*Event)) (off func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == nil {
		s.own = &handlers{}
	}
	s.own.last++
	id := s.own.last
	s.own.list = append(s.own.list, handler{id, name, once, f})
	return func() { s.off(func(h handler) bool { return h.id == id }) }
}

func (s *Socket) off(which func(handler) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own != nil {
		s.own.list = slices.DeleteFunc(s.own.list, which)
	}
}

// ownHandlers takes the functions that run for an event now.
func (s *Socket) ownHandlers(name string) (list []func(*Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == nil {
		return nil
	}
	s.own.list = slices.DeleteFunc(s.own.list, func(h handler) bool {
		if h.name == name {
			list = append(list, h.run)
		}
		return h.name == name && h.once
	})
	return list
}
