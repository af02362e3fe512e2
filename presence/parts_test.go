package presence_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/presence/mempresence"
)

// silent is a driver that does not answer for rooms whose names begin with an s.
type silent struct {
	*mempresence.Driver
	mu      sync.Mutex
	answers bool
}

func (s *silent) Online(ctx context.Context, room chat.RoomID, limit int) ([]chat.UserID, int, error) {
	s.mu.Lock()
	answers := s.answers
	s.mu.Unlock()
	if room[0] == 's' && !answers {
		<-ctx.Done()
		return nil, 0, ctx.Err()
	}
	return s.Driver.Online(ctx, room, limit)
}

// Rooms of a part for which nothing answers who is online hold up no event of another.
func TestPartsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var published []string
		d := &silent{Driver: mempresence.New()}
		tr := presence.New(presence.Config{
			Tick: time.Second, Driver: d, Part: func(room chat.RoomID) int { return int(room[0]) },
			Publish: func(ev *chat.Event) {
				mu.Lock()
				defer mu.Unlock()
				published = append(published, fmt.Sprint(ev.Room, ev.Presence.Came))
			},
		})
		defer tr.Close()
		got := func() []string {
			mu.Lock()
			defer mu.Unlock()
			out := published
			published = nil
			slices.Sort(out)
			return out
		}
		for tick := range 10 {
			user := chat.UserID(fmt.Sprint("user", tick))
			for i := range 20 { // more than are asked about in one time limit
				tr.Enter(chat.RoomID(fmt.Sprint("silent", i)), user)
			}
			tr.Enter("r1", user)
			tr.Enter("r2", user)
			time.Sleep(1100 * time.Millisecond) // a tick
			synctest.Wait()
			if want := []string{fmt.Sprintf("r1[%s]", user), fmt.Sprintf("r2[%s]", user)}; !slices.Equal(got(), want) {
				t.Fatalf("tick %d: the other part does not have %q", tick, want)
			}
		}
		d.mu.Lock()
		d.answers = true
		d.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(got()); n == 0 {
			t.Error("the part that answers again has no event")
		}
	})
}

// Close does not wait for an answer.
func TestCloseWithASilentPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &silent{Driver: mempresence.New()}
		tr := presence.New(presence.Config{Driver: d, Publish: func(*chat.Event) { t.Error("published") }})
		tr.Enter("silent", "ann")
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		began := time.Now()
		tr.Close()
		if d := time.Since(began); d != 0 {
			t.Errorf("Close took %v", d)
		}
	})
}
