package crash

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/consistency"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/internal/workload"
	"github.com/roomtide/roomtide/store"
)

// movePoints are the places where moving slots can be cut off, with how often each is
// passed before it is.
var movePoints = map[string]int{
	"move-before-copying": 1, "move-in-copying": 1, "move-before-page": 2, "move-after-page": 2,
	"move-before-follow": 1, "move-after-follow": 1,
	"move-before-following": 1, "move-in-following": 1, "move-before-verifying": 1, "move-in-verifying": 1,
	"move-before-holding": 1, "move-in-holding": 1, "move-before-hold": 1, "move-in-hold": 1,
	"move-between-marks": 1, "move-before-map": 1, "move-after-map": 1, "move-before-release": 1,
	"move-before-flipped": 1, "move-in-flipped": 1, "move-before-cleaning": 1, "move-in-cleaning": 1,
	"move-before-drop": 2, "move-after-drop": 2, "move-before-done": 1, "move-in-done": 1,
	"move-before-aborting": 1, "move-in-aborting": 1, "move-before-aborted": 1, "move-in-aborted": 1,
}

// One node under load is killed at every step of moving the slots of its rooms and users
// from one shard to another. After the next start the move ends by itself, or can be given up; nothing that
// was acknowledged is lost, and clients receive everything in order.
func TestCrashesWhileMoving(t *testing.T) {
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	// All that was written is moved each time: more would be ever more.
	w := workload.New(t, workload.Options{Addr: addr, Pace: 80 * time.Millisecond})
	n := program.Start(t, dir, addr)
	n.Ready()
	w.CreateRooms()
	if code := n.Terminate(drainBound); code != 0 {
		t.Fatalf("the first node ended with %d", code)
	}
	w.Start()
	hits, done, aborted := 0, 0, 0
	slots := usedSlots()
	for _, point := range shuffled(movePoints) {
		node := program.Start(t, dir, addr, fmt.Sprintf("ROOMTIDE_CRASH=%s:%d", point, movePoints[point]))
		waitForAcks(t, w, node, 30)
		order := []string{"shards", "move", "--data-dir", dir, "--yes", "--slots", slots.String(), "--to", target(t, dir), "--keep", "0"}
		abort := strings.Contains(point, "abort")
		if abort {
			order = append(order, "--rate", "20") // there is time to give up
		} else if strings.Contains(point, "-follow") && w.Acked() < 300 {
			order = append(order, "--rate", "50") // and to write what is followed, where there is little to copy
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _, _ = program.Run(t.Context(), order...) // fails when the node dies
		}()
		if abort {
			abortSoon(t, dir)
		}
		if code := node.Wait(3 * time.Minute); code != -1 || !strings.Contains(node.Stderr(), "crashpoint: "+point) {
			t.Fatalf("at %s the node ended with %d\n%s", point, code, node.Stderr())
		}
		hits++
		<-ended

		node = program.Start(t, dir, addr)
		waitForAcks(t, w, node, 30)
		if abort {
			_, _, _ = program.Run(t.Context(), "shards", "abort", "--data-dir", dir) // it may be over
		}
		switch program.AwaitMoves(t, dir, 3*time.Minute) {
		case "done":
			done++
		case "aborted":
			aborted++
		}
		if code := node.Terminate(drainBound); code != 0 {
			t.Fatalf("after %s the node ended with %d\n%s", point, code, node.Stderr())
		}
		if out, errs, err := program.Run(t.Context(), "check", "--data-dir", dir); err != nil {
			t.Fatalf("after %s: %v\n%s%s", point, err, out, errs)
		}
	}
	last := program.Start(t, dir, addr)
	last.Ready()
	final := w.Finish()
	if code := last.Terminate(drainBound); code != 0 {
		t.Errorf("the last node ended with %d", code)
	}
	for _, a := range consistency.Check(w.Rec.Records(), final) {
		t.Error(a)
	}
	t.Logf("%d crashes at %d points, %d moves done, %d aborted, %d messages acknowledged", hits, len(movePoints), done, aborted, w.Acked())
	if hits != len(movePoints) || aborted == 0 || done+aborted != hits {
		t.Errorf("%d hits, %d done, %d aborted", hits, done, aborted)
	}
}

func shuffled(points map[string]int) (names []string) {
	for name := range points {
		names = append(names, name)
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

// usedSlots are the slots of the rooms and users of the workload.
func usedSlots() *store.SlotSet {
	s := &store.SlotSet{}
	for _, room := range workload.Rooms {
		s.Add(room.Slot())
	}
	for i := range workload.Writers {
		s.Add(chat.UserID(fmt.Sprint("writer", i)).Slot())
		s.Add(chat.UserID(fmt.Sprint("watcher", i)).Slot())
	}
	return s
}

// target is a shard that does not own the first room.
func target(t *testing.T, dir string) string {
	t.Helper()
	var answer struct {
		Shards []struct {
			Name  string        `json:"name"`
			Slots store.SlotSet `json:"slots"`
		} `json:"shards"`
	}
	program.JSON(t, &answer, "shards", "list", "--json", "--data-dir", dir)
	for _, s := range answer.Shards {
		if !s.Slots.Has(workload.Rooms[0].Slot()) {
			return s.Name
		}
	}
	t.Fatalf("%+v", answer)
	return ""
}

// abortSoon gives up as soon as rows are copied.
func abortSoon(t *testing.T, dir string) {
	t.Helper()
	for range 1000 {
		for _, m := range program.Moves(t, dir) {
			if m.Phase == "copying" {
				_, _, _ = program.Run(t.Context(), "shards", "abort", "--data-dir", dir) // fails when the node dies
				return
			}
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatal("there was nothing to abort")
}
