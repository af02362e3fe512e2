package chat

import (
	"strings"
	"testing"
)

func TestAvatars(t *testing.T) {
	l := DefaultLimits()
	for _, s := range []string{"", "/a.png", "/", "/a/b?c=d#e", "https://example.org", "https://example.org/a.png", "https://example.org:8443/ü?x",
		"https://münchen.de/a", "https://[::1]/a", "/a//b", "/" + strings.Repeat("x", 511)} {
		if err := CheckAvatar(s, &l); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"//example.org/a", `/\example.org/a`, `\\example.org`, "http://example.org/a", "HTTPS://example.org/a", "a.png", "./a",
		"javascript:alert(1)", "data:image/png;base64,x", "https:/example.org", "https://", "https:///a", "https://:443/a", "https://user@example.org/a",
		"https://example.org%2f@evil", "/a b", "/a\n", "/a\u202e", "/a\u00a0", "/a\"onerror=", "/a\xff", "/\t/example.org", " /a"} {
		if err := CheckAvatar(s, &l); KindOf(err) != Invalid {
			t.Errorf("%q: %v", s, err)
		}
	}
	if err := CheckAvatar("/"+strings.Repeat("x", 512), &l); KindOf(err) != TooLarge {
		t.Error(err)
	}
}

// A role that ends does so by itself.
func TestMemberAt(t *testing.T) {
	for _, tt := range []struct {
		role  Role
		until int64
		now   int64
		want  Role
	}{
		{RoleBanned, 0, 100, RoleBanned}, {RoleBanned, 100, 99, RoleBanned}, {RoleBanned, 100, 100, RoleNone},
		{RoleMuted, 0, 100, RoleMuted}, {RoleMuted, 100, 99, RoleMuted}, {RoleMuted, 100, 101, RoleMember},
		{RoleOwner, 100, 101, RoleOwner}, {RoleNone, 100, 101, RoleNone},
	} {
		m := Member{User: "ann", Name: "Ann", Role: tt.role, Until: tt.until, Rev: 3}.At(tt.now)
		if m.Role != tt.want || m.Name != "Ann" || m.Rev != 3 || m.Role != tt.role && m.Until != 0 {
			t.Errorf("%+v is %+v", tt, m)
		}
	}
}

// A mute is there again with the user who leaves and joins, as long as it lasts.
func TestGoneAndBack(t *testing.T) {
	for _, tt := range []struct {
		role      Role
		until     int64
		at        int64 // when the user joins
		want      Role
		wantUntil int64
	}{
		{RoleMuted, 0, 1 << 47, RoleMuted, 0}, {RoleMuted, 100, 99, RoleMuted, 100}, {RoleMuted, 100, 100, RoleMember, 0},
		{RoleMember, 0, 50, RoleMember, 0}, {RoleModerator, 0, 50, RoleMember, 0}, {RoleMember, 100, 50, RoleMember, 0},
	} {
		gone := Member{User: "ann", Role: tt.role, Until: tt.until, Rev: 3}.Gone()
		if back := gone.At(tt.at).Back(RoleMember); gone.Role != RoleNone || back != (Member{User: "ann", Role: tt.want, Until: tt.wantUntil, Rev: 3}) {
			t.Errorf("%+v is %+v and then %+v", tt, gone, back)
		}
	}
	if m := (Member{}).Back(RoleOwner); m != (Member{Role: RoleOwner}) {
		t.Errorf("who was never in: %+v", m)
	}
}

// A muted member reads, and no rule takes the role for one above a member's.
func TestMuted(t *testing.T) {
	open, readOnly, m := &Room{Open: true}, &Room{ReadOnly: true}, &Message{User: "ann"}
	for what, err := range map[string]error{
		"post": CanPost(open, RoleMuted), "post in a read-only room": CanPost(readOnly, RoleMuted), "react": CanReact(open, RoleMuted, true),
		"edit": CanEdit(open, m, "ann", RoleMuted), "delete another's": CanDelete(m, "ben", RoleMuted),
		"change roles": CanSetRole(RoleMuted, RoleMember, RoleBanned), "change the room": CanSetRoom(RoleMuted),
	} {
		if KindOf(err) != Forbidden {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"read": CanRead(RoleMuted), "take a reaction back": CanReact(open, RoleMuted, false), "join again": CanJoin(&Room{}, RoleMuted, false), "delete their own": CanDelete(m, "ann", RoleMuted),
		"be muted by a moderator": CanSetRole(RoleModerator, RoleMember, RoleMuted), "be unmuted": CanSetRole(RoleModerator, RoleMuted, RoleMember),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if KindOf(CanSetRole(RoleModerator, RoleOwner, RoleMuted)) != Forbidden {
		t.Error("a moderator mutes an owner")
	}
}
