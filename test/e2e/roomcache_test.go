package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdb"
)

var fromMemory = regexp.MustCompile(`roomtide_room_cache_reads_total\{from="memory",part="(\w+)"\} (\d+)`)

// What one node has answered with success holds for the next question at another, though that
// one keeps the room in memory: a ban, the end of it, a message.
func TestRoomsInMemoryAreAsNewAsTheDatabase(t *testing.T) {
	ns := newNodes(t, testdb.MariaDB(t))
	a, b := ns.start("a"), ns.start("b")
	shop := &backEnd{t: t, n: a, key: ns.verb("key", "add", "the shop")}
	writer, reader := user(t, a, "writer"), user(t, b, "reader")
	bob, err := dialWith(t, b, ns.verb("token", "--user", "bob"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client.Client{writer, reader, bob} {
		join(t, c, "room")
	}
	role := func(role string) {
		t.Helper()
		if a := shop.do(http.MethodPut, "/v1/rooms/room/members/bob", []byte(`{"role":"`+role+`"}`), ""); a.Status != http.StatusNoContent {
			t.Fatalf("%s: %+v", role, a)
		}
	}
	// see reads at b, twice, as it comes to the memory of b by the first.
	see := func(c *client.Client, want chat.Kind, last chat.Seq) {
		t.Helper()
		for range 2 {
			ms, _, err := c.History(testContext(t), "room", client.Page{})
			if kind := chat.KindOf(err); err != nil && kind != want || err == nil && (want != 0 || ms[len(ms)-1].Seq != last) {
				t.Fatalf("%v of %d messages, want %v and the message %d", err, len(ms), want, last)
			}
			if _, _, _, err := c.Members(testContext(t), "room", ""); (err != nil) != (want != 0) {
				t.Fatalf("members: %v", err)
			}
		}
	}
	for i := range 20 {
		sent, err := writer.Send(testContext(t), "room", chat.Draft{Text: fmt.Sprint("message ", i)})
		if err != nil {
			t.Fatal(err)
		}
		see(reader, 0, sent.Seq)
		see(bob, 0, sent.Seq)
		role("banned")
		see(bob, chat.NotMember, 0)
		role("member")
		see(bob, 0, sent.Seq)
	}
	parts := 0
	for _, m := range fromMemory.FindAllStringSubmatch(metric(t, b, "roomtide_room_cache_reads_total"), -1) {
		t.Logf("%s: %s from memory", m[1], m[2])
		if n, err := strconv.Atoi(m[2]); err == nil && n > 0 {
			parts++
		}
	}
	if parts < 4 {
		t.Errorf("%d parts of rooms were read from memory, want all of 4", parts)
	}
}
