package chat

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Stored data depends on these: they may never change.
func TestSlotVectors(t *testing.T) {
	for id, want := range map[string]Slot{
		"": 155, "a": 248, "lobby": 125, "room1": 475, "user1": 89, "会议室": 769, "01920000-0000-7000-8000-000000000000": 902,
	} {
		if got := RoomID(id).Slot(); got != want {
			t.Errorf("slot of %q is %d, want %d", id, got, want)
		}
		if RoomID(id).Slot() != UserID(id).Slot() {
			t.Errorf("%q has another slot as a user", id)
		}
	}
}

func TestSlotsAreEven(t *testing.T) {
	var n [Slots]int
	const each = 100
	for i := range Slots * each {
		n[RoomID(fmt.Sprint("room", i)).Slot()]++
	}
	for s, k := range n {
		if k < each/2 || k > each*2 {
			t.Errorf("slot %d has %d of %d ids", s, k, Slots*each)
		}
	}
}

func TestCheckID(t *testing.T) {
	for _, c := range []struct {
		id   string
		want Kind
	}{
		{"room1", 0}, {"会议室", 0}, {"a/b?c#d %", 0}, {strings.Repeat("x", 128), 0},
		{"", Invalid}, {strings.Repeat("x", 129), TooLarge}, {"a\xff", Invalid}, {"a\x00", Invalid}, {"a\nb", Invalid}, {"a\u0085", Invalid},
	} {
		if got := CheckID("room", c.id, 128); (got == nil) != (c.want == 0) || got != nil && KindOf(got) != c.want {
			t.Errorf("%q: %v", c.id, got)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, c := range []struct {
		name string
		want Kind
	}{
		{"", 0}, {"Ann Ó", 0}, {"会议室 \"1\"", 0}, {strings.Repeat("x", 256), 0},
		{strings.Repeat("x", 257), TooLarge}, {"a\xff", Invalid}, {"a\x00", Invalid}, {"a\nb", Invalid}, {"a\x1b[31m", Invalid}, {"a\u0085", Invalid},
	} {
		if got := CheckName("name", c.name, 256); (got == nil) != (c.want == 0) || got != nil && KindOf(got) != c.want {
			t.Errorf("%q: %v", c.name, got)
		}
	}
}

func TestDrafts(t *testing.T) {
	l := DefaultLimits()
	for _, c := range []struct {
		name string
		d    Draft
		want Kind
	}{
		{"text", Draft{Text: "hello"}, 0},
		{"data alone", Draft{Data: []byte(`{}`)}, 0},
		{"4000 characters of three bytes", Draft{Text: strings.Repeat("中", 4000)}, 0},
		{"nothing", Draft{}, Invalid},
		{"4001 characters", Draft{Text: strings.Repeat("a", 4001)}, TooLarge},
		{"too many bytes", Draft{Text: strings.Repeat("a", l.MessageBytes+1)}, TooLarge},
		{"wrong UTF-8", Draft{Text: "\xc3("}, Invalid},
		{"NUL", Draft{Text: "a\x00"}, Invalid},
		{"long key", Draft{Text: "a", Key: strings.Repeat("k", l.KeyBytes+1)}, TooLarge},
		{"wrong key", Draft{Text: "a", Key: "\xff"}, Invalid},
		{"large data", Draft{Text: "a", Data: make([]byte, l.DataBytes+1)}, TooLarge},
		{"reply to before the first", Draft{Text: "a", ReplyTo: -1}, Invalid},
	} {
		if err := c.d.Check(&l); (err == nil) != (c.want == 0) || err != nil && KindOf(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestDigestTellsDraftsApart(t *testing.T) {
	seen := map[int64]Draft{}
	for _, d := range []Draft{
		{Text: "a"}, {Text: "b"}, {Text: "a", ReplyTo: 1}, {Text: "a", Data: []byte("1")}, {Text: "a\x001"}, {Text: "a1"}, {},
	} {
		if other, ok := seen[d.Digest()]; ok {
			t.Errorf("%+v and %+v have the same digest", d, other)
		}
		seen[d.Digest()] = d
		d.Key = "another key"
		if _, ok := seen[d.Digest()]; !ok {
			t.Errorf("the digest of %+v depends on the key", d)
		}
	}
}

func TestRules(t *testing.T) {
	open, closed, readOnly := &Room{Open: true}, &Room{}, &Room{Open: true, ReadOnly: true}
	mine, theirs, gone := &Message{User: "ann"}, &Message{User: "bob"}, &Message{User: "ann", Deleted: true}
	for _, c := range []struct {
		name string
		err  error
		want Kind
	}{
		{"join an open room", CanJoin(open, RoleNone, false), 0},
		{"join a closed room", CanJoin(closed, RoleNone, false), Forbidden},
		{"join a closed room with a grant", CanJoin(closed, RoleNone, true), 0},
		{"come back to a closed room", CanJoin(closed, RoleMember, false), 0},
		{"join when banned", CanJoin(open, RoleBanned, true), Forbidden},
		{"read without a role", CanRead(RoleNone), NotMember},
		{"read when banned", CanRead(RoleBanned), NotMember},
		{"read as a member", CanRead(RoleMember), 0},
		{"post as a member", CanPost(open, RoleMember), 0},
		{"post without a role", CanPost(open, RoleNone), NotMember},
		{"post when banned", CanPost(open, RoleBanned), NotMember},
		{"post read-only as a member", CanPost(readOnly, RoleMember), Forbidden},
		{"post read-only as a moderator", CanPost(readOnly, RoleModerator), 0},
		{"edit mine", CanEdit(open, mine, "ann", RoleMember), 0},
		{"edit theirs as owner", CanEdit(open, theirs, "ann", RoleOwner), Forbidden},
		{"edit mine in a read-only room", CanEdit(readOnly, mine, "ann", RoleMember), Forbidden},
		{"edit mine in a read-only room as a moderator", CanEdit(readOnly, mine, "ann", RoleModerator), 0},
		{"react", CanReact(open, RoleMember, true), 0},
		{"react in a read-only room", CanReact(readOnly, RoleMember, true), Forbidden},
		{"take a reaction back in a read-only room", CanReact(readOnly, RoleMember, false), 0},
		{"take a reaction back after leaving", CanReact(open, RoleNone, false), NotMember},
		{"edit a tombstone", CanEdit(open, gone, "ann", RoleMember), NotFound},
		{"edit mine after leaving", CanEdit(open, mine, "ann", RoleNone), NotMember},
		{"delete mine", CanDelete(mine, "ann", RoleMember), 0},
		{"delete theirs", CanDelete(theirs, "ann", RoleMember), Forbidden},
		{"delete theirs as moderator", CanDelete(theirs, "ann", RoleModerator), 0},
		{"delete theirs when banned", CanDelete(theirs, "ann", RoleBanned), NotMember},
		{"owner makes an owner", CanSetRole(RoleOwner, RoleMember, RoleOwner), 0},
		{"moderator bans", CanSetRole(RoleModerator, RoleMember, RoleBanned), 0},
		{"moderator lets back", CanSetRole(RoleModerator, RoleBanned, RoleMember), 0},
		{"moderator makes a moderator", CanSetRole(RoleModerator, RoleMember, RoleModerator), Forbidden},
		{"moderator bans the owner", CanSetRole(RoleModerator, RoleOwner, RoleBanned), Forbidden},
		{"member bans", CanSetRole(RoleMember, RoleMember, RoleBanned), Forbidden},
		{"banned makes an owner", CanSetRole(RoleBanned, RoleBanned, RoleOwner), Forbidden},
		{"moderator changes the room", CanSetRoom(RoleModerator), Forbidden},
		{"owner changes the room", CanSetRoom(RoleOwner), 0},
	} {
		if (c.err == nil) != (c.want == 0) || c.err != nil && KindOf(c.err) != c.want {
			t.Errorf("%s: %v", c.name, c.err)
		}
	}
}

func TestRolesAsWords(t *testing.T) {
	for r := RoleNone; r <= RoleBanned; r++ {
		if back, ok := ParseRole(r.String()); !ok || back != r {
			t.Errorf("%d is %q is %d", r, r, back)
		}
	}
	if _, ok := ParseRole("king"); ok {
		t.Error("king is a role")
	}
}

// Codecs depend on these: they may never change.
func TestEventKindNumbers(t *testing.T) {
	names := []string{"", "message", "edited", "deleted", "reacted", "member", "room", "presence", "typing", "read", "members"}
	kinds := EventKinds()
	if len(kinds) != len(names)-1 {
		t.Errorf("%d kinds, %d names", len(kinds), len(names)-1)
	}
	for _, k := range kinds {
		if int(k) >= len(names) || k.String() != names[k] {
			t.Errorf("kind %d is %q", k, k)
		}
		if back, ok := ParseEventKind(k.String()); !ok || back != k {
			t.Errorf("%d is %q is %d", k, k, back)
		}
		if k.Payload() == 0 {
			t.Errorf("%s carries nothing", k)
		}
	}
}

func TestUnknownEventKinds(t *testing.T) {
	for _, k := range []EventKind{0, EventKind(len(eventKinds)), 255} {
		if k.String() != "" || k.Durable() || k.Payload() != 0 {
			t.Errorf("kind %d is %q, durable %v, carries %d", k, k, k.Durable(), k.Payload())
		}
	}
	for _, name := range []string{"", "gap", "Message"} {
		if k, ok := ParseEventKind(name); ok {
			t.Errorf("%q is %d", name, k)
		}
	}
}

func TestPublicShowsNoCause(t *testing.T) {
	cause := errors.New("password of the database")
	for _, err := range []error{cause, Wrap(Internal, "store.x", cause), &Error{Kind: Busy, Op: "lane.submit", Subject: "secret room", RetryAfter: 5, Err: cause}, fmt.Errorf("wrapped: %w", E(NotFound, "there is no such room"))} {
		p := Public(err)
		if strings.Contains(p.Error(), "password") || strings.Contains(p.Error(), "secret") || strings.Contains(p.Error(), "lane") {
			t.Errorf("%v is told as %v", err, p)
		}
		if p.Kind != KindOf(err) || p.Text == "" {
			t.Errorf("%v is told as %+v", err, p)
		}
	}
	if p := Public(&Error{Kind: Busy, RetryAfter: 5}); p.RetryAfter != 5 {
		t.Error("retry-after is lost")
	}
	for k := Internal; k <= Fenced; k++ {
		if Public(&Error{Kind: k}).Text == "" || k.Code() == "" {
			t.Errorf("kind %d has no words", k)
		}
	}
}

func TestGoodbyesSayWhetherToComeBack(t *testing.T) {
	for g, want := range map[Goodbye]Retry{
		ByeDraining: RetryNow, ByeSlow: RetryNow, ByeTimeout: RetryNow, ByeBusy: RetryLater, ByeFlood: RetryLater, ByeInternal: RetryLater,
		ByeProtocol: RetryNever, ByeTooLarge: RetryNever, ByeExpired: RetryNever, ByeRevoked: RetryNever, ByeNoHello: RetryNever, ByeForbidden: RetryNever,
	} {
		if g.Retry() != want {
			t.Errorf("%s: %d", g.Reason, g.Retry())
		}
	}
}
