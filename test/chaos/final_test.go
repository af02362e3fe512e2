package chaos

import (
	"crypto/sha256"
	"fmt"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testcluster"
)

// stored reads all messages straight from the databases, without the program.
func (r *run) stored() map[chat.RoomID][]chat.Message {
	all := map[chat.RoomID][]chat.Message{}
	for i, url := range r.c.Databases() {
		db := r.c.SQL[i%len(r.c.SQL)].Open(url)
		rows, err := db.QueryContext(r.t.Context(), "SELECT room_id, seq, user_id, coalesce(send_key, ''), body, created_rev, edited, deleted "+
			"FROM roomtide_messages ORDER BY room_id, seq")
		if err != nil {
			r.t.Fatal(err)
		}
		for rows.Next() {
			var m chat.Message
			var deleted int
			if err := rows.Scan(&m.Room, &m.Seq, &m.User, &m.Key, &m.Text, &m.Created, &m.Edited, &deleted); err != nil {
				r.t.Fatal(err)
			}
			m.Deleted = deleted != 0
			all[m.Room] = append(all[m.Room], m)
		}
		if err := rows.Err(); err != nil {
			r.t.Fatal(err)
		}
	}
	return all
}

// compare has users read everything, each on another node, and compares the chain of what
// they get in a room with that of what SQL has.
func (r *run) compare(stored map[chat.RoomID][]chat.Message) {
	for i, user := range r.w.Users() {
		name := testcluster.Names[i%len(testcluster.Names)]
		for _, room := range r.w.Rooms {
			got, want := chain(user, r.w.History(r.c.Addr(name), user, room)), chain(user, stored[room])
			if at := differ(got, want); at >= 0 {
				r.t.Errorf("%s: what %s reads on node %s differs from what SQL has from message %d on: %d messages, and SQL has %d",
					room, user, name, at+1, len(got), len(want))
			}
		}
	}
}

// chain is a hash for each message, of it and of all before it, as the user may see them:
// the keys of others' messages are not shown.
func chain(user string, ms []chat.Message) (sums []string) {
	h := sha256.New()
	for i := range ms {
		m := &ms[i]
		key := ""
		if string(m.User) == user {
			key = m.Key
		}
		fmt.Fprintf(h, "%d %q %q %x\n", m.Seq, key, m.User, sha256.Sum256([]byte(m.Text))) // a hash never fails
		sums = append(sums, string(h.Sum(nil)))
	}
	return sums
}

// differ returns the first place where chains differ, -1 if there is none.
func differ(a, b []string) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return -1
}
