package webhook_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/webhook"
)

func numbered(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%03d", i)
	}
	return out
}

// Each message of the rooms that are wanted comes once, in the order of its room, while
// nothing fails; a restart goes on where it was.
func TestDelivers(t *testing.T) {
	w := newWorld(t, webhook.Config{})
	all, some := newReceiver(t), newReceiver(t)
	w.send("before", "not heard")
	w.add(all, webhook.Order{})
	w.add(some, webhook.Order{Rooms: &[]string{"shop-*", "lobby"}, Kinds: &[]string{"message.created", "member.joined"}})
	for _, room := range []chat.RoomID{"shop-1", "shop-2", "lobby", "other", "lobby-2"} {
		w.send(room, numbered(8)...)
	}
	w.await("all is heard", func() bool { _, _, n := all.count(); return n >= 40 })
	w.await("some is heard", func() bool { _, _, n := some.count(); return n >= 27 })
	for _, room := range []chat.RoomID{"shop-1", "lobby", "other"} {
		if got := all.texts(room); !slices.Equal(got, numbered(8)) {
			t.Errorf("%s: %v", room, got)
		}
	}
	if got := some.texts("lobby"); !slices.Equal(got, append([]string{""}, numbered(8)...)) {
		t.Errorf("lobby: %v", got)
	}
	w.close()
	w.open()
	w.send("other", "after a restart")
	w.await("what comes after a restart is heard", func() bool { return slices.Contains(all.texts("other"), "after a restart") })
	if _, _, n := all.count(); n != 41 {
		t.Errorf("%d events, some of them twice", n)
	}
	if _, _, n := some.count(); n != 27 {
		t.Errorf("%d events of other rooms", n)
	}
}

// A request that is under way when the service ends is answered, and not made again; one that
// is not answered is cut off.
func TestLastRequest(t *testing.T) {
	w := newWorld(t, webhook.Config{})
	r := newReceiver(t)
	came := make(chan struct{}, 16)
	takes := func(d time.Duration) {
		r.respond(func(_ http.ResponseWriter, req *http.Request, _ *event) bool {
			came <- struct{}{}
			select {
			case <-time.After(d):
				return true
			case <-req.Context().Done():
				return false
			}
		})
	}
	takes(100 * time.Millisecond)
	w.add(r, webhook.Order{})
	w.send("lobby", "one", "two")
	<-came
	w.close()
	if got := r.texts("lobby"); !slices.Equal(got, []string{"one"}) {
		t.Errorf("at the end: %v", got)
	}
	takes(time.Hour)
	w.open()
	<-came
	w.close()
	takes(0)
	w.open()
	w.await("the other has come, once", func() bool { return slices.Equal(r.texts("lobby"), []string{"one", "two"}) })
	w.close()
	w.open()
	w.send("lobby", "three")
	w.await("what comes later is heard", func() bool { return slices.Equal(r.texts("lobby"), []string{"one", "two", "three"}) })
}

// Events that wait go together where the endpoint wants that.
func TestBatches(t *testing.T) {
	w := newWorld(t, webhook.Config{})
	r := newReceiver(t)
	batch := 20
	release := make(chan struct{})
	r.respond(func(http.ResponseWriter, *http.Request, *event) bool { <-release; return true })
	w.add(r, webhook.Order{Batch: &batch})
	w.send("lobby", numbered(60)...)
	close(release)
	w.await("all are taken", func() bool { _, _, n := r.count(); return n >= 60 })
	if got := r.texts("lobby"); !slices.Equal(got, numbered(60)) {
		t.Errorf("%v", got)
	}
	if _, n, _ := r.count(); n > 10 {
		t.Errorf("%d requests for 60 events", n)
	}
}

// An endpoint that is down for a while loses nothing, gets the order of each room and the
// same ids again; another endpoint does not notice.
func TestDown(t *testing.T) {
	w := newWorld(t, webhook.Config{})
	down, up := newReceiver(t), newReceiver(t)
	batch := 10
	tried := map[string]bool{}
	down.respond(func(rw http.ResponseWriter, r *http.Request, _ *event) bool {
		down.mu.Lock()
		defer down.mu.Unlock()
		tried[r.Header.Get("webhook-id")] = true
		rw.WriteHeader(http.StatusServiceUnavailable)
		return false
	})
	st := w.add(down, webhook.Order{Batch: &batch})
	w.add(up, webhook.Order{})
	w.send("lobby", "first")
	w.await("it was tried and left alone", func() bool { n, _, _ := down.count(); return n >= 5 })
	for i := range 5 {
		w.send(chat.RoomID(fmt.Sprint("room-", i)), numbered(5)...)
	}
	w.await("the other has all", func() bool { _, _, n := up.count(); return n == 26 })
	list, err := w.hooks.List(t.Context())
	w.must(err)
	if list[0].ID != st.ID || list[0].Failing == nil || !strings.Contains(list[0].Error, "503") || list[0].Lag == 0 || list[1].Failing != nil {
		t.Errorf("%+v", list)
	}
	if n, _, _ := down.count(); n > 40 {
		t.Errorf("%d attempts at an endpoint that is down", n)
	}
	down.respond(nil)
	w.await("it has all", func() bool { _, _, n := down.count(); return n >= 26 })
	for i := range 5 {
		if got := down.texts(chat.RoomID(fmt.Sprint("room-", i))); !slices.Equal(got, numbered(5)) {
			t.Errorf("room %d: %v", i, got)
		}
	}
	down.mu.Lock()
	defer down.mu.Unlock()
	for _, id := range down.ids {
		delete(tried, id)
	}
	if len(tried) > 0 || len(down.got) != 26 {
		t.Errorf("%d events, and ids that were tried and never taken: %v", len(down.got), tried)
	}
}

// An event that is refused for too long is given up, others of its room come then, and it
// is delivered when an operator wants it.
func TestDead(t *testing.T) {
	w := newWorld(t, webhook.Config{RetryFor: time.Hour})
	r := newReceiver(t)
	r.respond(func(rw http.ResponseWriter, _ *http.Request, e *event) bool {
		if e.Data.Message == "poison" {
			rw.WriteHeader(http.StatusBadRequest)
			return false
		}
		return true
	})
	st := w.add(r, webhook.Order{})
	w.send("lobby", "one", "poison", "two")
	w.await("the poison was tried", func() bool { n, _, _ := r.count(); return n >= 3 })
	if got := r.texts("lobby"); !slices.Equal(got, []string{"one"}) {
		t.Errorf("before it is given up: %v", got)
	}
	w.mu.Lock()
	w.later = 2 * time.Hour
	w.mu.Unlock()
	w.await("the next one comes", func() bool { return slices.Equal(r.texts("lobby"), []string{"one", "two"}) })
	dead, more, err := w.hooks.DeadLetters(t.Context(), st.ID, "")
	w.must(err)
	if len(dead) != 1 || more || dead[0].Kind != "message.created" || dead[0].Room != "lobby" || !strings.Contains(dead[0].Reason, "400") {
		t.Fatalf("dead letters: %+v", dead)
	}
	if out, err := w.hooks.Retry(t.Context(), st.ID); err != nil || out.Delivered != 0 || out.Left != 1 || out.Error == "" {
		t.Errorf("retried in vain: %+v, %v", out, err)
	}
	r.respond(nil)
	if out, err := w.hooks.Retry(t.Context(), st.ID); err != nil || out.Delivered != 1 || out.Left != 0 || out.Error != "" {
		t.Errorf("retried: %+v, %v", out, err)
	}
	r.mu.Lock()
	if id := r.ids[len(r.ids)-1]; id != dead[0].Event {
		t.Errorf("the id was %s, and is %s", dead[0].Event, id)
	}
	r.mu.Unlock()
}

// While an endpoint is down for longer than events are kept for it, they become dead letters
// without a request for each.
func TestDownForTooLong(t *testing.T) {
	w := newWorld(t, webhook.Config{RetryFor: time.Hour})
	r := newReceiver(t)
	r.status(http.StatusInternalServerError)
	st := w.add(r, webhook.Order{})
	w.send("lobby", numbered(300)...)
	w.await("it is left alone", func() bool { n, _, _ := r.count(); return n >= 5 })
	w.mu.Lock()
	w.later = 2 * time.Hour
	w.mu.Unlock()
	dead := func() int {
		list, err := w.hooks.List(t.Context())
		w.must(err)
		return list[0].Dead
	}
	w.await("all are given up", func() bool { return dead() == 300 })
	if n, _, _ := r.count(); n > 320 {
		t.Errorf("%d requests", n)
	}
	if n, err := w.hooks.DropDead(t.Context(), st.ID); err != nil || n != 300 || dead() != 0 {
		t.Errorf("dropped %d, %v", n, err)
	}
}

// Everything since a time comes again, with its ids.
func TestReplay(t *testing.T) {
	w := newWorld(t, webhook.Config{})
	r := newReceiver(t)
	st := w.add(r, webhook.Order{})
	w.send("lobby", "one", "two")
	w.await("they are heard", func() bool { _, _, n := r.count(); return n == 2 })
	time.Sleep(2 * time.Millisecond) // the next entry has a later time
	from := time.Now()
	w.send("lobby", "three")
	w.await("it is heard", func() bool { _, _, n := r.count(); return n == 3 })
	_, err := w.hooks.Replay(t.Context(), st.ID, from)
	w.must(err)
	w.await("the last one comes again", func() bool { return slices.Equal(r.texts("lobby"), []string{"one", "two", "three", "three"}) })
	_, err = w.hooks.Replay(t.Context(), st.ID, from.Add(-time.Hour))
	w.must(err)
	w.await("all come again", func() bool {
		return slices.Equal(r.texts("lobby"), []string{"one", "two", "three", "three", "one", "two", "three"})
	})
	if r.ids[0] != r.ids[4] || r.ids[2] != r.ids[3] {
		t.Errorf("other ids: %v", r.ids)
	}
	if _, err := w.hooks.Replay(t.Context(), st.ID, time.Now().Add(time.Hour)); chat.KindOf(err) != chat.Invalid {
		t.Errorf("from the future: %v", err)
	}
	if _, err := w.hooks.Replay(t.Context(), "unknown", from); chat.KindOf(err) != chat.NotFound {
		t.Errorf("of none: %v", err)
	}
}

// Entries are kept for replays as long as there are endpoints, and no longer.
func TestHistory(t *testing.T) {
	w := newWorld(t, webhook.Config{History: time.Hour})
	r := newReceiver(t)
	st := w.add(r, webhook.Order{})
	w.send("lobby", numbered(5)...)
	w.await("they are heard", func() bool { _, _, n := r.count(); return n == 5 })
	kept := func() int {
		es, err := w.store.Room("lobby").Outbox(t.Context(), 0, 0, 1000)
		w.must(err)
		return len(es)
	}
	if n := kept(); n != 6 {
		t.Errorf("%d entries are kept", n)
	}
	w.must(w.hooks.Remove(t.Context(), st.ID))
	if cs, err := w.store.Room("lobby").Cursors(t.Context(), 0); err != nil || len(cs) != 0 {
		t.Errorf("cursors are left: %v, %v", cs, err)
	}
	w.send("lobby", "not heard")
	if _, _, n := r.count(); n != 5 {
		t.Errorf("%d events", n)
	}
}

// Two secrets sign while they are exchanged.
func TestSecrets(t *testing.T) {
	w := newWorld(t, webhook.Config{})
	r := newReceiver(t)
	st := w.add(r, webhook.Order{})
	st, secret, err := w.hooks.Change(t.Context(), st.ID, webhook.Order{Rotate: true})
	w.must(err)
	if secret == "" || secret == r.secrets[0] || st.Secrets != 2 {
		t.Fatalf("%+v", st)
	}
	r.mu.Lock()
	r.secrets = append(r.secrets, secret)
	r.mu.Unlock()
	w.send("lobby", "signed twice")
	w.await("it is heard", func() bool { _, _, n := r.count(); return n == 1 })
	if st, _, err = w.hooks.Change(t.Context(), st.ID, webhook.Order{OneOnly: true}); err != nil || st.Secrets != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	r.mu.Lock()
	r.secrets = r.secrets[1:]
	r.mu.Unlock()
	w.send("lobby", "signed once")
	w.await("it is heard", func() bool { _, _, n := r.count(); return n == 2 })
}

// Answers that are no good: each is a failure with a clear text, and costs little.
func TestBadEndpoints(t *testing.T) {
	w := newWorld(t, webhook.Config{Timeout: 300 * time.Millisecond})
	r := newReceiver(t)
	st := w.add(r, webhook.Order{})
	reached := newReceiver(t)
	for _, c := range []struct {
		name, want string
		answer     func(w http.ResponseWriter)
	}{
		{"a redirect inside", "redirects are not followed", func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://169.254.169.254/latest/meta-data")
			w.WriteHeader(http.StatusFound)
		}},
		{"a redirect elsewhere", "redirects are not followed", func(w http.ResponseWriter) {
			w.Header().Set("Location", reached.server.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}},
		{"nothing", "does not answer in time", func(http.ResponseWriter) { time.Sleep(600 * time.Millisecond) }},
		{"an endless answer", "", func(w http.ResponseWriter) {
			for range 1000 {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 64<<10)); err != nil {
					return
				}
			}
			t.Error("megabytes were read")
		}},
		{"a panic", "connection", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }},
		{"no", "answers 404", func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }},
	} {
		r.respond(func(rw http.ResponseWriter, _ *http.Request, _ *event) bool { c.answer(rw); return false })
		got, err := w.hooks.Test(t.Context(), st.ID)
		w.must(err)
		if got.OK != (c.want == "") || !strings.Contains(got.Error, c.want) || strings.Contains(got.Error, "Post") {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	if n, _, _ := reached.count(); n != 0 {
		t.Error("a redirect was followed")
	}
}

// An address inside is refused when it is dialled, whatever the URL says.
func TestInside(t *testing.T) {
	w := newWorld(t, webhook.Config{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	r := newReceiver(t)
	insecure := true
	for _, host := range []string{"127.0.0.1", "localhost"} {
		url := strings.Replace(r.server.URL, "127.0.0.1", host, 1)
		st, _, err := w.hooks.Add(t.Context(), webhook.Order{URL: &url, Insecure: &insecure})
		w.must(err)
		got, err := w.hooks.Test(t.Context(), st.ID)
		if err != nil || got.OK || !strings.Contains(got.Error, "webhooks.allow") {
			t.Errorf("%s: %+v, %v", host, got, err)
		}
	}
	if n, _, _ := r.count(); n != 0 {
		t.Error("it was reached")
	}
}

// An endpoint that answers 410 is disabled, and says why.
func TestGone(t *testing.T) {
	w := newWorld(t, webhook.Config{})
	r := newReceiver(t)
	r.status(http.StatusGone)
	w.add(r, webhook.Order{})
	w.send("lobby", "one")
	w.await("it is disabled", func() bool {
		list, err := w.hooks.List(t.Context())
		w.must(err)
		return !list[0].Enabled && strings.Contains(list[0].Reason, "410")
	})
	r.respond(nil)
	on := true
	list, err := w.hooks.List(t.Context())
	w.must(err)
	_, _, err = w.hooks.Change(t.Context(), list[0].ID, webhook.Order{Enabled: &on})
	w.must(err)
	w.send("lobby", "two")
	w.await("it is heard again, from now on", func() bool { return slices.Equal(r.texts("lobby"), []string{"two"}) })
}

// What is asked for and makes no sense is refused in words.
func TestBadOrders(t *testing.T) {
	w := newWorld(t, webhook.Config{})
	str := func(s string) *string { return &s }
	for want, o := range map[string]webhook.Order{
		"not https":      {URL: str("http://hooks.example.org/")},
		"is not one":     {URL: str("hooks.example.org")},
		"not one such":   {URL: str("ftp://hooks.example.org/")},
		"a password":     {URL: str("https://u:p@hooks.example.org/")},
		"no kind":        {URL: str("https://hooks.example.org/"), Kinds: &[]string{"message.sent"}},
		"from 1 to 100":  {URL: str("https://hooks.example.org/"), Batch: new(int)},
		"begin with and": {URL: str("https://hooks.example.org/"), Rooms: &[]string{""}},
		"24 to 64 bytes": {URL: str("https://hooks.example.org/"), Secret: str("whsec_c2hvcnQ=")},
		"not one such a": {},
	} {
		_, _, err := w.hooks.Add(t.Context(), o)
		if want == "not one such a" {
			want = "is not one"
		}
		if chat.KindOf(err) != chat.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if list, err := w.hooks.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

// Events of users come to endpoints that name them, in order, and are told to be wanted while
// there is such an endpoint; "everything" does not mean them.
func TestUserEvents(t *testing.T) {
	w := newWorld(t, webhook.Config{})
	all, users := newReceiver(t), newReceiver(t)
	w.add(all, webhook.Order{Kinds: &[]string{}})
	if w.hooks.Attended() {
		t.Error("users are to be told of, and no endpoint names them")
	}
	st := w.add(users, webhook.Order{Kinds: &[]string{"user.online", "user.offline", "push.dead"}, Rooms: &[]string{"shop-*"}})
	if !w.hooks.Attended() {
		t.Error("users are not to be told of")
	}
	for range 3 {
		for _, on := range []bool{true, false} {
			_, err := w.lanes.Do(t.Context(), &change.Connected{User: "ann", Node: "a", On: on})
			w.must(err)
		}
	}
	w.send("lobby", "hello")
	w.await("all is heard", func() bool { return slices.Contains(all.texts("lobby"), "hello") })
	w.await("users are heard of", func() bool { _, _, n := users.count(); return n >= 6 })
	for i, e := range users.events() {
		if want := []string{"user.online", "user.offline"}[i%2]; e.Type != want {
			t.Errorf("event %d is %s", i, e.Type)
		}
	}
	for _, e := range all.events() {
		if strings.HasPrefix(e.Type, "user.") {
			t.Errorf("everything has %s", e.Type)
		}
	}
	w.must(w.hooks.Remove(t.Context(), st.ID))
	if w.hooks.Attended() {
		t.Error("users are still to be told of")
	}
}
