package bench

import (
	"fmt"
	"sync"
	"syscall"
	"time"
)

func newFloor(name string) (floor, error) {
	switch name {
	case "A":
		return &writeFloor{}, nil
	case "B":
		return newLogFloor(), nil
	}
	return nil, fmt.Errorf("bench: there is no floor %q, only A and B", name)
}

// writeFloor is floor A.
type writeFloor struct{ rooms byRoom[writeRoom] }

type writeRoom struct {
	mu  sync.Mutex
	seq int64
	fds []int
}

func (f *writeFloor) room(id string) *writeRoom {
	return f.rooms.get(id, func() *writeRoom { return &writeRoom{} })
}

func (f *writeFloor) enter(room string, fd int) {
	r := f.room(room)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fds = append(r.fds, fd)
}

func (f *writeFloor) send(room, user, text string) {
	r := f.room(room)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	frame := appendFloorMessage(nil, room, user, text, r.seq)
	for _, fd := range r.fds {
		writeAll(fd, frame)
	}
}

// writeAll writes p, waiting for a full socket by trying again; a socket that
// is broken is left to its reader.
func writeAll(fd int, p []byte) {
	for len(p) > 0 {
		n, err := syscall.Write(fd, p)
		switch {
		case err == syscall.EAGAIN:
			time.Sleep(50 * time.Microsecond)
		case err != nil && err != syscall.EINTR:
			return
		}
		p = p[max(n, 0):]
	}
}

// logFloor is floor B. Rooms that have something new are handed to as many
// workers as there may be of use on a small machine.
type logFloor struct {
	rooms byRoom[logRoom]
	dirty chan *logRoom
}

const (
	floorWorkers = 2
	floorLog     = 1 << 20 // bytes a room's log holds
)

type logRoom struct {
	mu      sync.Mutex
	room    sync.Cond // a round has ended
	seq     int64
	log     []byte // frames that the next round writes, at most floorLog bytes
	fds     []int
	queued  bool
	writing []byte // what the present round writes to each connection
}

func newLogFloor() *logFloor {
	f := &logFloor{dirty: make(chan *logRoom, 100_000)}
	for range floorWorkers {
		go f.work()
	}
	return f
}

func (f *logFloor) room(id string) *logRoom {
	return f.rooms.get(id, func() *logRoom {
		r := &logRoom{}
		r.room.L = &r.mu
		return r
	})
}

func (f *logFloor) enter(room string, fd int) {
	r := f.room(room)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fds = append(r.fds, fd)
}

func (f *logFloor) send(room, user, text string) {
	r := f.room(room)
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.log) > floorLog {
		r.room.Wait()
	}
	r.seq++
	r.log = appendFloorMessage(r.log, room, user, text, r.seq)
	if !r.queued {
		r.queued = true
		f.dirty <- r
	}
}

// work makes rounds: everything that has gathered in a room's log goes to each
// member in one write, while the next round gathers. Since all members of a
// floor are given everything, their cursors are all the same.
func (f *logFloor) work() {
	for r := range f.dirty {
		r.mu.Lock()
		r.log, r.writing = r.writing[:0], r.log
		fds := r.fds
		r.room.Broadcast()
		r.mu.Unlock()
		for _, fd := range fds {
			writeAll(fd, r.writing)
		}
		r.mu.Lock()
		r.queued = len(r.log) > 0
		again := r.queued
		r.mu.Unlock()
		if again {
			f.dirty <- r
		}
	}
}
