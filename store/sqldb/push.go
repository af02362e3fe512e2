package sqldb

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Devices, and what they are sent.

func DeviceValues(row []any, d *chat.Device) []any {
	return append(row, int64(d.User.Slot()), string(d.User), d.ID, d.Provider, []byte(d.Address), d.Registered, d.Seen, d.Language)
}

func PushSettingsValues(row []any, s *chat.PushSettings) []any {
	return append(row, int64(s.User.Slot()), string(s.User), string(s.Room), int64(s.Level), s.MuteUntil,
		int64(s.QuietFrom), int64(s.QuietTo), s.TimeZone, Flag(s.HideContent))
}

func PushJobValues(row []any, j *store.PushJob) []any {
	return append(row, int64(j.User.Slot()), string(j.User), j.Topic, j.Device, j.Made, int64(j.State), Flag(j.Silent), Flag(j.Mention),
		Flag(j.Shown), int64(j.Seq), j.Due, j.Expires, int64(j.Attempts), j.Reason, j.Title, j.Text, []byte(j.Data))
}

func PushOwnerValues(row []any, o *store.PushOwner) []any {
	return append(row, int64(store.DigestSlot(o.Digest)), o.Digest, string(o.User), o.Device, o.Seen)
}

func UserNodesValues(row []any, n *store.UserNodes) []any {
	return append(row, int64(n.User.Slot()), string(n.User), n.Nodes)
}

// What the scans below read: everything but the slot.
var (
	deviceColumns       = behindSlot(&Devices)
	pushSettingsColumns = behindSlot(&PushSettings)
	pushJobColumns      = behindSlot(&PushJobs)
	pushOwnerColumns    = behindSlot(&PushOwners)
	userNodesColumns    = behindSlot(&UserNodes)
)

func behindSlot(t *Table) string { return strings.Join(names(t.Columns[1:]), ", ") }

var errPush = errors.New("a push level or state that is none")

func scanDevice(s Scanner, d *chat.Device) error {
	var address []byte
	err := s.Scan((*string)(&d.User), &d.ID, &d.Provider, &address, &d.Registered, &d.Seen, &d.Language)
	d.Address = string(address)
	return err
}

func scanPushSettings(s Scanner, p *chat.PushSettings) error {
	var level, from, to, hide int64
	err := s.Scan((*string)(&p.User), (*string)(&p.Room), &level, &p.MuteUntil, &from, &to, &p.TimeZone, &hide)
	if p.Level = chat.PushLevel(level); err == nil && (level < 0 || level > int64(chat.PushNone)) {
		err = errPush
	}
	p.QuietFrom, p.QuietTo, p.HideContent = int(from), int(to), hide != 0
	return err
}

func scanPushJob(s Scanner, j *store.PushJob) error {
	var state, silent, mention, shown, attempts int64
	var data []byte
	err := s.Scan((*string)(&j.User), &j.Topic, &j.Device, &j.Made, &state, &silent, &mention, &shown, (*int64)(&j.Seq), &j.Due, &j.Expires,
		&attempts, &j.Reason, &j.Title, &j.Text, &data)
	if j.State = store.PushState(state); err == nil && (state < 0 || state > int64(store.PushDead)) {
		err = errPush
	}
	j.Silent, j.Mention, j.Shown, j.Attempts, j.Data = silent != 0, mention != 0, shown != 0, int(attempts), string(data)
	return err
}

func scanPushOwner(s Scanner, o *store.PushOwner) error {
	return s.Scan(&o.Digest, (*string)(&o.User), &o.Device, &o.Seen)
}

func scanUserNodes(s Scanner, n *store.UserNodes) error { return s.Scan((*string)(&n.User), &n.Nodes) }

func (r *Reader) Devices(ctx context.Context, user chat.UserID) (ds []chat.Device, err error) {
	err = r.db.Ask(ctx, devicesOf(&ds, user))
	return ds, err
}

func devicesOf(out *[]chat.Device, user chat.UserID) Question {
	return list(out, scanDevice, func(d *chat.Device) bool { return d.User == user },
		"SELECT "+deviceColumns+" FROM {devices} WHERE slot = ? AND user_id = ? ORDER BY device_id", userArgs(user)...)
}

func (r *Reader) PushSettings(ctx context.Context, user chat.UserID, from chat.RoomID, limit int) (out []chat.PushSettings, err error) {
	err = r.db.Ask(ctx, list(&out, scanPushSettings, func(p *chat.PushSettings) bool { return p.User == user && p.Room >= from },
		"SELECT "+pushSettingsColumns+" FROM {push_settings} WHERE slot = ? AND user_id = ? AND room_id >= ? ORDER BY room_id LIMIT ?",
		append(userArgs(user), string(from), int64(max(limit, 0)))...))
	return out, err
}

// Recipients asks for the rooms of each user apart: there may be many of one.
func (r *Reader) Recipients(ctx context.Context, users []chat.UserID, rooms int) ([]store.Recipient, error) {
	out := make([]store.Recipient, len(users))
	of := make(map[chat.UserID]*store.Recipient, len(users))
	keys := make([]store.UserRoomKey, len(users))
	var qs []Question
	for i, user := range users {
		out[i].User, out[i].Settings.User = user, user
		of[user], keys[i] = &out[i], store.UserRoomKey{User: user}
		qs = append(qs, userRooms(&out[i].Rooms, user, "", rooms))
	}
	qs = append(qs, pick(r.d, deviceColumns, "{devices}", userKey, users, userArgs, func(s Scanner) (chat.UserID, error) {
		var d chat.Device
		err := scanDevice(s, &d)
		if to := of[d.User]; to != nil {
			to.Devices = append(to.Devices, d)
		}
		return d.User, err
	})...)
	qs = append(qs, pickPushSettings(r.d, keys, func(p *chat.PushSettings) {
		if to := of[p.User]; to != nil {
			to.Settings = *p
		}
	})...)
	if err := r.db.Ask(ctx, qs...); err != nil {
		return nil, err
	}
	for i := range out {
		slices.SortFunc(out[i].Devices, func(a, b chat.Device) int { return strings.Compare(a.ID, b.ID) })
	}
	return out, nil
}

// pickPushSettings asks for settings.
func pickPushSettings(d *Dialect, keys []store.UserRoomKey, found func(*chat.PushSettings)) []Question {
	args := func(k store.UserRoomKey) []any { return append(userArgs(k.User), string(k.Room)) }
	return pick(d, pushSettingsColumns, "{push_settings}", PushSettings.Columns[:PushSettings.Key], keys, args,
		func(s Scanner) (store.UserRoomKey, error) {
			var p chat.PushSettings
			err := scanPushSettings(s, &p)
			found(&p)
			return store.UserRoomKey{User: p.User, Room: p.Room}, err
		})
}

func (r *Reader) DuePushJobs(ctx context.Context, from, to int64, limit int) (out []store.PushJob, err error) {
	err = r.db.Ask(ctx, list(&out, scanPushJob, func(j *store.PushJob) bool { return j.Due >= from && j.Due <= to },
		"SELECT "+pushJobColumns+" FROM {push_jobs} WHERE due BETWEEN ? AND ? ORDER BY due LIMIT ?", from, to, int64(max(limit, 0))))
	return out, err
}

func (r *Reader) DeadPushJobs(ctx context.Context, after store.PushJobKey, limit int) (out []store.PushJob, err error) {
	at := int64(-1) // before the first
	if after.User != "" {
		at = int64(after.User.Slot())
	}
	behind, args := r.d.behind([]string{"slot", "user_id", "topic", "device_id"}, at, string(after.User), after.Topic, after.Device)
	err = r.db.Ask(ctx, list(&out, scanPushJob, func(j *store.PushJob) bool { return j.State == store.PushDead },
		"SELECT "+pushJobColumns+" FROM {push_jobs} WHERE "+behind+" AND state = ? ORDER BY slot, user_id, topic, device_id LIMIT ?",
		append(args, int64(store.PushDead), int64(max(limit, 0)))...))
	return out, err
}

// pickPush asks for what Load needs of devices and of what they are sent.
func (r *Reader) pickPush(need *store.Need, st *store.State) []Question {
	var qs []Question
	devices := map[chat.UserID]*[]chat.Device{}
	for _, user := range need.Devices {
		if devices[user] == nil {
			devices[user] = new([]chat.Device)
			qs = append(qs, kept(devicesOf(devices[user], user), func() { st.Devices[user] = *devices[user] }))
		}
	}
	jobs := map[store.PushTopic]*[]store.PushJob{}
	for _, t := range need.PushJobs {
		if jobs[t] == nil {
			jobs[t] = new([]store.PushJob)
			qs = append(qs, kept(jobsOf(jobs[t], t), func() { st.PushJobs[t] = *jobs[t] }))
		}
	}
	qs = append(qs, pickPushSettings(r.d, need.PushSettings, func(p *chat.PushSettings) {
		st.PushSettings[store.UserRoomKey{User: p.User, Room: p.Room}] = *p
	})...)
	ownerArgs := func(digest string) []any { return []any{int64(store.DigestSlot(digest)), digest} }
	qs = append(qs, pick(r.d, userNodesColumns, "{user_nodes}", UserNodes.Columns[:UserNodes.Key], need.UserNodes, userArgs,
		func(s Scanner) (chat.UserID, error) {
			var n store.UserNodes
			err := scanUserNodes(s, &n)
			st.UserNodes[n.User] = n
			return n.User, err
		})...)
	return append(qs, pick(r.d, pushOwnerColumns, "{push_owners}", PushOwners.Columns[:PushOwners.Key], need.PushOwners, ownerArgs,
		func(s Scanner) (string, error) {
			var o store.PushOwner
			err := scanPushOwner(s, &o)
			st.PushOwners[o.Digest] = o
			return o.Digest, err
		})...)
}

// jobsOf asks for the jobs of a topic, or of a user.
func jobsOf(out *[]store.PushJob, t store.PushTopic) Question {
	where, args := "", userArgs(t.User)
	if t.Topic != "" {
		where, args = " AND topic = ?", append(args, t.Topic)
	}
	return list(out, scanPushJob, func(j *store.PushJob) bool { return j.User == t.User && (t.Topic == "" || j.Topic == t.Topic) },
		"SELECT "+pushJobColumns+" FROM {push_jobs} WHERE slot = ? AND user_id = ?"+where+" ORDER BY topic, device_id", args...)
}

// kept is the question with then, which runs after each row.
func kept(q Question, then func()) Question {
	row := q.Row
	q.Row = func(s Scanner) error {
		err := row(s)
		then()
		return err
	}
	return q
}
