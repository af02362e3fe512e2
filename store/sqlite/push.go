package sqlite

import (
	"context"
	"database/sql"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Devices, and what they are sent.

const (
	deviceColumns       = "device_id, provider, address, registered, seen, language"
	pushSettingsColumns = "room_id, push_level, mute_until, quiet_from, quiet_to, time_zone, hide_content"
	pushJobColumns      = "topic, device_id, made, state, silent, mention, shown, seq, due, expires, attempts, reason, title, body, data"
	pushOwnerColumns    = "user_id, device_id, seen"
	userNodesColumns    = "nodes"

	devicesOf        = "SELECT " + deviceColumns + " FROM devices WHERE slot = ? AND user_id = ? ORDER BY device_id"
	findPushSettings = "SELECT " + pushSettingsColumns + " FROM push_settings WHERE slot = ? AND user_id = ? AND room_id = ?"
	jobsOfUser       = "SELECT " + pushJobColumns + " FROM push_jobs WHERE slot = ? AND user_id = ? ORDER BY topic, device_id"
	jobsOfTopic      = "SELECT " + pushJobColumns + " FROM push_jobs WHERE slot = ? AND user_id = ? AND topic = ? ORDER BY device_id"
	findPushOwner    = "SELECT " + pushOwnerColumns + " FROM push_owners WHERE slot = ? AND digest = ?"
	findUserNodes    = "SELECT " + userNodesColumns + " FROM user_nodes WHERE slot = ? AND user_id = ?"

	putDevice       = "INSERT OR REPLACE INTO devices (slot, user_id, " + deviceColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
	putPushSettings = "INSERT OR REPLACE INTO push_settings (slot, user_id, " + pushSettingsColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
	putPushJob      = "INSERT OR REPLACE INTO push_jobs (slot, user_id, " + pushJobColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	putPushOwner    = "INSERT OR REPLACE INTO push_owners (slot, digest, " + pushOwnerColumns + ") VALUES (?, ?, ?, ?, ?)"
	putUserNodes    = "INSERT OR REPLACE INTO user_nodes (slot, user_id, " + userNodesColumns + ") VALUES (?, ?, ?)"
)

// pushLists are the statements of readers.
type pushLists struct {
	devices, settings, due, dead *sql.Stmt
}

func (l *pushLists) queries() []query {
	return []query{
		{&l.devices, devicesOf},
		{&l.settings, "SELECT " + pushSettingsColumns + " FROM push_settings WHERE slot = ? AND user_id = ? AND room_id >= ? ORDER BY room_id " + upTo},
		{&l.due, "SELECT user_id, " + pushJobColumns + " FROM push_jobs WHERE due BETWEEN ? AND ? ORDER BY due " + upTo},
		{&l.dead, "SELECT user_id, " + pushJobColumns + " FROM push_jobs WHERE (slot, user_id, topic, device_id) > (?, ?, ?, ?) AND state = ?" +
			" ORDER BY slot, user_id, topic, device_id " + upTo},
	}
}

func scanDevice(s scanner, user chat.UserID, d *chat.Device) error {
	d.User = user
	return s.Scan(&d.ID, &d.Provider, &d.Address, &d.Registered, &d.Seen, &d.Language)
}

func scanPushSettings(s scanner, user chat.UserID, p *chat.PushSettings) error {
	var level int
	err := s.Scan((*string)(&p.Room), &level, &p.MuteUntil, &p.QuietFrom, &p.QuietTo, &p.TimeZone, &p.HideContent)
	p.User, p.Level = user, chat.PushLevel(level)
	return err
}

func scanPushJob(s scanner, user chat.UserID, j *store.PushJob) error {
	var state int
	err := s.Scan(&j.Topic, &j.Device, &j.Made, &state, &j.Silent, &j.Mention, &j.Shown, (*int64)(&j.Seq), &j.Due, &j.Expires,
		&j.Attempts, &j.Reason, &j.Title, &j.Text, &j.Data)
	j.User, j.State = user, store.PushState(state)
	return err
}

func scanPushOwner(s scanner, digest string, o *store.PushOwner) error {
	o.Digest = digest
	return s.Scan((*string)(&o.User), &o.Device, &o.Seen)
}

func scanUserNodes(s scanner, user chat.UserID, n *store.UserNodes) error {
	n.User = user
	return s.Scan(&n.Nodes)
}

// rowsOf reads the rows of a statement of a reader.
func rowsOf[T any](ctx context.Context, s *Shard, op string, q *sql.Stmt, scan func(scanner, *T) error, args ...any) ([]T, error) {
	ctx, err := brief(ctx)
	if err != nil {
		return nil, s.db.fail(op, err)
	}
	rows, err := q.QueryContext(ctx, args...)
	if err != nil {
		return nil, s.db.fail(op, err)
	}
	out, err := collect(rows, 0, func(v *T) error { return scan(rows, v) })
	return out, s.db.fail(op, err)
}

func (s *Shard) Devices(ctx context.Context, user chat.UserID) ([]chat.Device, error) {
	return rowsOf(ctx, s, "devices", s.push.devices, func(row scanner, d *chat.Device) error { return scanDevice(row, user, d) },
		user.Slot(), user)
}

func (s *Shard) PushSettings(ctx context.Context, user chat.UserID, from chat.RoomID, limit int) ([]chat.PushSettings, error) {
	return rowsOf(ctx, s, "push_settings", s.push.settings, func(row scanner, p *chat.PushSettings) error { return scanPushSettings(row, user, p) },
		user.Slot(), user, from, max(limit, 0))
}

func (s *Shard) Recipients(ctx context.Context, users []chat.UserID, rooms int) ([]store.Recipient, error) {
	out := make([]store.Recipient, len(users))
	err := s.db.snapshot(ctx, "recipients", func(tx *sql.Tx) (err error) {
		devices, settings, userRooms := tx.Stmt(s.push.devices), tx.Stmt(s.push.settings), tx.Stmt(s.list.userRooms)
		for i, user := range users {
			r := &out[i]
			r.User, r.Settings.User = user, user
			r.Devices, err = rowsIn(devices, func(row scanner, d *chat.Device) error { return scanDevice(row, user, d) }, user.Slot(), user)
			if err != nil {
				return err
			}
			first, err := rowsIn(settings, func(row scanner, p *chat.PushSettings) error { return scanPushSettings(row, user, p) }, user.Slot(), user, "", 1)
			if err != nil {
				return err
			}
			if len(first) > 0 && first[0].Room == "" {
				r.Settings = first[0]
			}
			r.Rooms, err = rowsIn(userRooms, func(row scanner, u *store.UserRoom) error { return scanUserRoom(row, user, u) }, user.Slot(), user, "", max(rooms, 0))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// rowsIn reads the rows of a statement of a snapshot.
func rowsIn[T any](q *sql.Stmt, scan func(scanner, *T) error, args ...any) ([]T, error) {
	rows, err := q.Query(args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, 0, func(v *T) error { return scan(rows, v) })
}

func (s *Shard) DuePushJobs(ctx context.Context, from, to int64, limit int) ([]store.PushJob, error) {
	return rowsOf(ctx, s, "due_push_jobs", s.push.due, scanAnyPushJob, from, to, max(limit, 0))
}

func (s *Shard) DeadPushJobs(ctx context.Context, after store.PushJobKey, limit int) ([]store.PushJob, error) {
	at := -1 // before the first
	if after.User != "" {
		at = int(after.User.Slot())
	}
	return rowsOf(ctx, s, "dead_push_jobs", s.push.dead, scanAnyPushJob, at, after.User, after.Topic, after.Device, int(store.PushDead), max(limit, 0))
}

// scanAnyPushJob is scanPushJob with the user in the first column.
func scanAnyPushJob(s scanner, j *store.PushJob) error {
	var user string
	err := scanPushJob(behind{s, &user}, "", j)
	j.User = chat.UserID(user)
	return err
}

func loadPush(w *writer, need *store.Need, st *store.State) error {
	for _, user := range need.Devices {
		if _, ok := st.Devices[user]; ok {
			continue
		}
		ds, err := rowsOfWriter(w, devicesOf, func(s scanner, d *chat.Device) error { return scanDevice(s, user, d) },
			int64(user.Slot()), string(user))
		if err != nil {
			return err
		}
		if len(ds) > 0 {
			st.Devices[user] = ds
		}
	}
	for _, t := range need.PushJobs {
		if _, ok := st.PushJobs[t]; ok {
			continue
		}
		text, args := jobsOfTopic, []any{int64(t.User.Slot()), string(t.User), t.Topic}
		if t.Topic == "" {
			text, args = jobsOfUser, args[:2]
		}
		jobs, err := rowsOfWriter(w, text, func(s scanner, j *store.PushJob) error { return scanPushJob(s, t.User, j) }, args...)
		if err != nil {
			return err
		}
		if len(jobs) > 0 {
			st.PushJobs[t] = jobs
		}
	}
	err := lookup(st.PushSettings, need.PushSettings, func(k store.UserRoomKey, p *chat.PushSettings) error {
		return w.row(findPushSettings, func(s scanner) error { return scanPushSettings(s, k.User, p) },
			int64(k.User.Slot()), string(k.User), string(k.Room))
	})
	if err != nil {
		return err
	}
	err = lookup(st.UserNodes, need.UserNodes, func(user chat.UserID, n *store.UserNodes) error {
		return w.row(findUserNodes, func(s scanner) error { return scanUserNodes(s, user, n) }, int64(user.Slot()), string(user))
	})
	if err != nil {
		return err
	}
	return lookup(st.PushOwners, need.PushOwners, func(digest string, o *store.PushOwner) error {
		return w.row(findPushOwner, func(s scanner) error { return scanPushOwner(s, digest, o) }, int64(store.DigestSlot(digest)), digest)
	})
}

func rowsOfWriter[T any](w *writer, text string, scan func(scanner, *T) error, args ...any) (out []T, err error) {
	err = w.each(text, func(s scanner) error {
		var v T
		err := scan(s, &v)
		out = append(out, v)
		return err
	}, args...)
	return out, err
}

func putPush(w *writer, ch *store.Changes) error {
	for i := range ch.Devices {
		d := &ch.Devices[i]
		if _, err := w.exec(putDevice, int64(d.User.Slot()), string(d.User), d.ID, d.Provider, d.Address, d.Registered, d.Seen, d.Language); err != nil {
			return err
		}
	}
	for i := range ch.PushSettings {
		p := &ch.PushSettings[i]
		if _, err := w.exec(putPushSettings, int64(p.User.Slot()), string(p.User), string(p.Room), int64(p.Level), p.MuteUntil,
			int64(p.QuietFrom), int64(p.QuietTo), p.TimeZone, p.HideContent); err != nil {
			return err
		}
	}
	for i := range ch.PushJobs {
		j := &ch.PushJobs[i]
		if _, err := w.exec(putPushJob, int64(j.User.Slot()), string(j.User), j.Topic, j.Device, j.Made, int64(j.State), j.Silent, j.Mention,
			j.Shown, int64(j.Seq), j.Due, j.Expires, int64(j.Attempts), j.Reason, j.Title, j.Text, j.Data); err != nil {
			return err
		}
	}
	for i := range ch.PushOwners {
		o := &ch.PushOwners[i]
		if _, err := w.exec(putPushOwner, int64(store.DigestSlot(o.Digest)), o.Digest, string(o.User), o.Device, o.Seen); err != nil {
			return err
		}
	}
	for i := range ch.UserNodes {
		n := &ch.UserNodes[i]
		if _, err := w.exec(putUserNodes, int64(n.User.Slot()), string(n.User), n.Nodes); err != nil {
			return err
		}
	}
	return dropRows(w, ch.Delete)
}
