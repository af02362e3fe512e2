package onward_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testlanes"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/onward"
	"github.com/roomtide/roomtide/outbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A phone that goes from one user to another, over and over, is the last one's alone, also
// if the node stops in between.
func TestAPhoneChangesHands(t *testing.T) {
	st := teststore.Open(t, t.TempDir(), 4, nil)
	defer st.Close()
	node := func(do func(*lane.Lanes)) {
		lanes := testlanes.Over(t, st)
		defer lanes.Close()
		box, err := outbox.Open(t.Context(), outbox.Config{Store: st, Lanes: lanes, Consumers: []outbox.Consumer{onward.Changes(st, lanes)}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			box.Close(ctx)
		}()
		do(lanes)
	}
	user := func(i int) chat.UserID { return chat.UserID(fmt.Sprint("user ", i)) }
	register := func(lanes *lane.Lanes, from, to int) {
		for i := from; i < to; i++ {
			_, err := lanes.Do(t.Context(), &change.RegisterDevice{User: user(i), Device: "phone", Provider: "fcm", Address: "one", At: int64(i + 1)})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	node(func(lanes *lane.Lanes) { register(lanes, 0, 10) })
	node(func(lanes *lane.Lanes) {
		register(lanes, 10, 20)
		for i := range 20 {
			want := 0
			if i == 19 {
				want = 1
			}
			for limit := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
				devices, err := st.User(user(i)).Devices(t.Context(), user(i))
				if err != nil {
					t.Fatal(err)
				}
				if len(devices) == want {
					break
				}
				if time.Now().After(limit) {
					t.Fatalf("%s has %+v", user(i), devices)
				}
			}
		}
	})
}
