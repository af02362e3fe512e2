package mysql

import (
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// TestCheckFinds breaks every rule, one after the other, behind the back of the driver.
func TestCheckFinds(t *testing.T) {
	s := open(t, sqldb.Options{Name: "shard", DSN: testdb.MariaDB(t)})
	w := newSender(t, s)
	for range 3 {
		must(t, w.try(ctx))
	}
	ch := store.Changes{
		Rooms:     []chat.Room{w.room},
		Members:   []chat.Member{{Room: "r", User: "ann", Role: chat.RoleOwner, Rev: 1}},
		Reactions: []store.ReactionChange{{On: true, ReactionKey: store.ReactionKey{Room: "r", Seq: 1, Emoji: "+", User: "ann"}}},
	}
	ch.Rooms[0].Members = 1
	must(t, s.Commit(ctx, 0, w.at, &ch))
	w.room = ch.Rooms[0]
	w.verify()
	for _, c := range []struct{ breaks, mends, finding string }{
		{"UPDATE roomtide_rooms SET last_seq = 4", "UPDATE roomtide_rooms SET last_seq = 3", "3 messages numbered 1 to 3, but last_seq is 4"},
		{"UPDATE roomtide_messages SET seq = 9 WHERE seq = 2", "UPDATE roomtide_messages SET seq = 2 WHERE seq = 9", "3 messages numbered 1 to 9"},
		{"UPDATE roomtide_messages SET created_rev = created_rev + 2 WHERE seq = 1", "UPDATE roomtide_messages SET created_rev = created_rev - 2 WHERE seq = 1",
			"message 2 was created at rev 3, the one before it at 4"},
		{"UPDATE roomtide_messages SET changed_rev = 99 WHERE seq = 1", "UPDATE roomtide_messages SET changed_rev = NULL", "a message has rev 99, the room 4"},
		{"UPDATE roomtide_rooms SET info_rev = 99", "UPDATE roomtide_rooms SET info_rev = 1", "the title or policy has rev 99"},
		{"UPDATE roomtide_members SET rev = 99", "UPDATE roomtide_members SET rev = 1", "a member has rev 99, the room 4"},
		{"UPDATE roomtide_members SET role = 0", "UPDATE roomtide_members SET role = 3", "0 members present, but the room says 1"},
		{"UPDATE roomtide_rooms SET floor = 99", "UPDATE roomtide_rooms SET floor = 0", "its history begins behind rev 99"},
		{"UPDATE roomtide_reaction_counts SET n = 2", "UPDATE roomtide_reaction_counts SET n = 1", "message 1 has 1 reactions of a kind, counted are 2"},
		{"UPDATE roomtide_reaction_counts SET first_ts = 5", "UPDATE roomtide_reaction_counts SET first_ts = 0", "message 1 has an emoji with the time 5 of its first use, which was 0"},
		{"UPDATE roomtide_reaction_counts SET first_users = 'bob'", "UPDATE roomtide_reaction_counts SET first_users = 'ann'", "another user was the first"},
		{"UPDATE roomtide_reaction_counts SET first_users = 'ann\nbob'", "UPDATE roomtide_reaction_counts SET first_users = 'ann'", "that 1 users chose, with 2 names"},
		{"UPDATE roomtide_rooms SET slot = slot + 1", "UPDATE roomtide_rooms SET slot = slot - 1", "filed under slot"},
		{"UPDATE roomtide_rooms SET room_id = 'other'", "UPDATE roomtide_rooms SET room_id = 'r'", "3 messages without a room"},
		{"UPDATE roomtide_members SET room_id = 'other'", "UPDATE roomtide_members SET room_id = 'r'", "1 members without a room"},
	} {
		run(t, s.db.pool, c.breaks)
		found, err := s.Check(ctx, nil)
		must(t, err)
		if !strings.Contains(strings.Join(found, "\n"), c.finding) {
			t.Errorf("after %s is found %q", c.breaks, found)
		}
		run(t, s.db.pool, c.mends)
		found, err = s.Check(ctx, nil)
		must(t, err)
		if len(found) > 0 {
			t.Fatalf("after %s is found %q", c.mends, found)
		}
	}
}
