package crash

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/consistency"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/internal/workload"
)

// A node is backed up under load, goes on, is lost with its disk, and is put back: every
// message acknowledged before the backup began is there, the data is whole, and every
// client with a rev from the lost history starts over, however far the new history has
// come meanwhile.
func TestRestoreOfALostNode(t *testing.T) {
	base := t.TempDir()
	r := &rehearsal{t: t, addr: testprocess.FreeAddr(t), dir: filepath.Join(base, "lost"), copies: filepath.Join(base, "backup")}
	n := program.Start(t, r.dir, r.addr)
	n.Ready()
	r.live(base)
	n.Kill()
	restored := filepath.Join(base, "restored")
	r.run("backup", "verify", r.copies)
	r.run("restore", r.copies, "--data-dir", restored)
	r.run("check", "--data-dir", restored)
	n = program.Start(t, restored, r.addr)
	n.Ready()
	r.goOn()
	if code := n.Terminate(drainBound); code != 0 {
		t.Errorf("the restored node ended with %d", code)
	}
	r.run("check", "--data-dir", restored)
}

// rehearsal is the two lives of a deployment.
type rehearsal struct {
	t           *testing.T
	addr        string
	dir, copies string
	before      []consistency.Record            // of the first life, until the backup began
	lost        consistency.Final               // what the first life had at its end
	at          map[chat.RoomID]client.Position // of a client at the end of the first life
	early       map[chat.RoomID]client.Position // of one at its beginning
	keepers     []*keeper                       // clients of both lives
	crowd       []chat.UserID                   // users that came into rooms of their own all the time
}

const late = chat.RoomID("late") // made after the backup, and again after the restore

func (r *rehearsal) run(args ...string) string {
	r.t.Helper()
	out, errs, err := program.Run(r.t.Context(), args...)
	if err != nil {
		r.t.Fatalf("%v: %v\n%s%s", args, err, out, errs)
	}
	return out
}

// live is the first life. At its end nothing is in flight, and a part of what was
// acknowledged is not in the backup.
func (r *rehearsal) live(base string) {
	w := workload.New(r.t, workload.Options{Addr: r.addr})
	w.CreateRooms()
	r.early = r.positions("early")
	for i := range 2 {
		r.keepers = append(r.keepers, keep(r.t, w, fmt.Sprint("keeper", i)))
	}
	stop := r.join(w)
	w.Start()
	await(r.t, "acks before the backup", func() bool { return w.Acked() > 400 })
	r.before = slices.Clone(w.Rec.Records())
	began := time.Now()
	r.run("backup", r.copies, "--data-dir", r.dir)
	r.run("backup", filepath.Join(base, "second.tar.gz"), "--data-dir", r.dir)
	r.t.Logf("two backups took %v", time.Since(began))
	acked := w.Acked()
	await(r.t, "acks after the backup", func() bool { return w.Acked() > acked+300 })
	stop()
	r.lost = w.Finish()
	for _, v := range consistency.Check(w.Rec.Records(), r.lost) {
		r.t.Error("in the life that was backed up: ", v)
	}
	r.write(late, "lost", 20)
	r.at = r.positions("stale")
}

// goOn is the second life.
func (r *rehearsal) goOn() {
	w := workload.New(r.t, workload.Options{Addr: r.addr, As: "again "})
	r.checkKept(w)
	r.checkCrowd()
	r.write(late, "new", 5)
	w.CreateRooms()
	w.Start()
	await(r.t, "the new history to be longer than the lost one", func() bool { return w.Acked() > 1200 })
	final := w.Finish()
	for i := range workload.Writers { // only they are told the keys of what they wrote in the first life
		w.ReadAs(fmt.Sprint("writer", i), final)
	}
	for _, v := range consistency.Check(w.Rec.Records(), final) {
		r.t.Error(v)
	}
	for room, ms := range r.lost {
		if len(final[room]) <= len(ms) {
			r.t.Errorf("%s has %d messages, in its lost history it had %d", room, len(final[room]), len(ms))
		}
	}
	for _, k := range r.keepers {
		k.end(final)
	}
	r.write(late, "new", 30)
	for name, at := range map[string]map[chat.RoomID]client.Position{"of the lost history": r.at, "of before the backup": r.early} {
		for room, pos := range at {
			if !r.startsOver(room, pos) {
				r.t.Errorf("%s: a client with a place %s (%+v) goes on from there", room, name, pos)
			}
		}
	}
	for room, pos := range r.positions("fresh") {
		if r.startsOver(room, pos) {
			r.t.Errorf("%s: a client of this history starts over", room)
		}
	}
}

// checkKept compares what is there after the restore with what was acknowledged before
// the backup, and with the lost history, of which it is the beginning. It notes what is
// there as sent, for the check of the second life.
func (r *rehearsal) checkKept(w *workload.Workload) {
	kept := consistency.Final{}
	for i := range workload.Writers {
		w.ReadAs(fmt.Sprint("writer", i), kept)
	}
	for room, ms := range kept {
		if len(ms) >= len(r.lost[room]) {
			r.t.Errorf("%s: nothing is lost, so nothing is tried", room)
			continue
		}
		for i, m := range ms {
			was := r.lost[room][i]
			if m.Seq != was.Seq || m.User != was.User || m.Key != was.Key || m.Body != was.Body && m.Body != 0 && was.Body != 0 {
				r.t.Errorf("%s: restored is %+v, it was %+v", room, m, was)
			}
			w.Rec.Send("", room, m.User, m.Key, strings.TrimPrefix(m.Key, string(m.User)+" ")).OK(m.Seq, m.Rev)
		}
	}
	sends, promised := map[int64]consistency.Record{}, 0
	for _, rec := range r.before {
		switch rec.Kind {
		case consistency.Invoke:
			sends[rec.Op] = rec
		case consistency.OK:
			promised++
			if ms := kept[rec.Room]; int(rec.Seq) > len(ms) || ms[rec.Seq-1].Key != sends[rec.Op].Key {
				r.t.Errorf("%s: message %d, acknowledged before the backup, is not there", rec.Room, rec.Seq)
			}
		}
	}
	r.t.Logf("%d messages were acknowledged before the backup, %d, %d and %d are there, of %d, %d and %d", promised,
		len(kept[workload.Rooms[0]]), len(kept[workload.Rooms[1]]), len(kept[workload.Rooms[2]]), len(r.lost[workload.Rooms[0]]), len(r.lost[workload.Rooms[1]]), len(r.lost[workload.Rooms[2]]))
}

// join has users come into rooms, one after the other, until stop: their membership and
// the room in their list are in two databases.
func (r *rehearsal) join(w *workload.Workload) (stop func()) {
	ended, end := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			default:
			}
			user := fmt.Sprint("crowd", i)
			c := w.Dial(user)
			if _, err := c.Join(context.Background(), chat.RoomID("of "+user), client.JoinOptions{}); err != nil {
				r.t.Error(err)
			}
			c.Close()
			r.crowd = append(r.crowd, chat.UserID(user))
		}
	}()
	return func() { close(end); <-ended }
}

// checkCrowd: who is in a room has it in their list, and who is not has not.
func (r *rehearsal) checkCrowd() {
	w := workload.New(r.t, workload.Options{Addr: r.addr})
	there, gone := 0, 0
	for _, user := range r.crowd {
		c := w.Dial(string(user))
		room := chat.RoomID("of " + user)
		_, _, _, err := c.Members(r.t.Context(), room, "")
		in := err == nil
		if in {
			there++
		} else {
			gone++
		}
		await(r.t, "the list of "+string(user), func() bool {
			list, err := c.Rooms(r.t.Context())
			return err == nil && in == (len(list) == 1 && list[0].Room.ID == room) && (in || len(list) == 0)
		})
		c.Close()
	}
	r.t.Logf("%d users of the crowd are in the backup, %d came later", there, gone)
	if there == 0 || gone == 0 {
		r.t.Error("the backup is not in the middle of them")
	}
}

// write sends messages to a room that is made if it is missing.
func (r *rehearsal) write(room chat.RoomID, text string, n int) {
	c := workload.New(r.t, workload.Options{Addr: r.addr}).Dial("late-writer")
	defer c.Close()
	if _, err := c.Join(r.t.Context(), room, client.JoinOptions{}); err != nil {
		r.t.Fatal(err)
	}
	for i := range n {
		if _, err := c.Send(r.t.Context(), room, chat.Draft{Text: fmt.Sprint(text, " ", i)}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// positions are where a client stands that joins now.
func (r *rehearsal) positions(user string) map[chat.RoomID]client.Position {
	c := workload.New(r.t, workload.Options{Addr: r.addr}).Dial(user)
	defer c.Close()
	at := map[chat.RoomID]client.Position{}
	for _, room := range append(slices.Clone(workload.Rooms), late) {
		joined, err := c.Join(r.t.Context(), room, client.JoinOptions{})
		if err != nil {
			r.t.Fatal(err)
		}
		if joined.At.Rev > 1 { // the room was not made just now
			at[room] = joined.At
		}
	}
	return at
}

// startsOver reports whether a client that was away since pos is told to start over. If
// not, it gets everything after it.
func (r *rehearsal) startsOver(room chat.RoomID, pos client.Position) bool {
	c := workload.New(r.t, workload.Options{Addr: r.addr}).Dial("stale")
	defer c.Close()
	if _, err := c.Join(r.t.Context(), room, client.JoinOptions{After: &pos}); err != nil {
		r.t.Fatal(err)
	}
	for {
		select {
		case ev := <-c.Events():
			switch ev.News {
			case client.Reset:
				return true
			case client.CaughtUp:
				return false
			}
		case <-time.After(20 * time.Second):
			r.t.Fatalf("%s: nothing happens", room)
		}
	}
}

// keeper is a client that stays connected as well as it can, through both lives.
type keeper struct {
	t    *testing.T
	name string
	c    *client.Client
	done chan struct{}

	mu     sync.Mutex
	resets map[chat.RoomID]int
	seen   map[chat.RoomID][]consistency.Message // since the last reset
}

func keep(t *testing.T, w *workload.Workload, name string) *keeper {
	k := &keeper{t: t, name: name, c: w.Dial(name), done: make(chan struct{}),
		resets: map[chat.RoomID]int{}, seen: map[chat.RoomID][]consistency.Message{}}
	for _, room := range workload.Rooms {
		if _, err := k.c.Join(t.Context(), room, client.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	go k.follow()
	return k
}

func (k *keeper) follow() {
	defer close(k.done)
	for ev := range k.c.Events() {
		k.mu.Lock()
		switch {
		case ev.News == client.Reset:
			k.resets[ev.Room]++
			k.seen[ev.Room] = nil
		case ev.Kind == chat.EventMessage:
			k.seen[ev.Room] = append(k.seen[ev.Room], consistency.Of(ev.Message))
		}
		k.mu.Unlock()
	}
}

// end waits until the keeper has everything: it has started over once in each room, and
// then received every message in order, of the new history alone.
func (k *keeper) end(final consistency.Final) {
	for _, room := range workload.Rooms {
		last := final[room][len(final[room])-1].Seq
		await(k.t, k.name+" to have all of "+string(room), func() bool {
			k.mu.Lock()
			defer k.mu.Unlock()
			seen := k.seen[room]
			return k.resets[room] > 0 && len(seen) > 0 && seen[len(seen)-1].Seq == last
		})
	}
	k.c.Close()
	<-k.done
	for _, room := range workload.Rooms {
		if k.resets[room] != 1 {
			k.t.Errorf("%s started over %d times in %s", k.name, k.resets[room], room)
		}
		first := k.seen[room][0].Seq
		for i, m := range k.seen[room] {
			want := final[room][m.Seq-1]
			if m.Seq != first+chat.Seq(i) || m.User != want.User || m.Body != want.Body && m.Body != 0 && want.Body != 0 {
				k.t.Fatalf("%s received %+v as number %d of %s after its first, %d; the store has %+v", k.name, m, i, room, first, want)
			}
		}
	}
}

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.After(60 * time.Second); !holds(); {
		select {
		case <-deadline:
			t.Fatalf("waiting for %s took too long", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
