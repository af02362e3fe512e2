package lane

import (
	"strings"
	"time"
	_ "time/tzdata" // the time zones of quiet hours, where the system has none

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Jobs of push notifications: who is told what is decided beside the devices, the settings
// and the read marks of the user.

const (
	// maxNotices is how many notices of the host are kept of a user, until they expire.
	maxNotices = 100

	// A silent job waits so long that more is read meanwhile, and is of no use later.
	silentDelay = 1000
	silentLife  = 24 * 3600 * 1000
)

func (b *batch) needSetPush(c *change.SetPush) { b.needPushSettings(c.User, c.Room) }

func (b *batch) applySetPush(c *change.SetPush) (change.Reply, error) {
	was := b.pushSettings(c.User, c.Room)
	now := was
	set(&now.Level, c.Level)
	set(&now.MuteUntil, c.MuteUntil)
	if c.Room == "" {
		set(&now.QuietFrom, c.QuietFrom)
		set(&now.QuietTo, c.QuietTo)
		set(&now.TimeZone, c.TimeZone)
		set(&now.HideContent, c.HideContent)
	}
	switch {
	case now == was:
		return change.Reply{Push: was}, nil
	case now.Zero():
		b.settings.drop(&now)
	default:
		b.settings.put(now)
	}
	return change.Reply{Push: now, Changed: true}, nil
}

func (b *batch) needPushSettings(user chat.UserID, room chat.RoomID) {
	b.want.PushSettings = append(b.want.PushSettings, store.UserRoomKey{User: user, Room: room})
}

// pushSettings are zero if there are none.
func (b *batch) pushSettings(user chat.UserID, room chat.RoomID) chat.PushSettings {
	stored, ok := b.state.PushSettings[store.UserRoomKey{User: user, Room: room}]
	stored.User, stored.Room = user, room
	if now, there := b.settings.one(stored, ok); there {
		return now
	}
	return chat.PushSettings{User: user, Room: room}
}

func (b *batch) needNotify(c *change.Notify) {
	b.want.Devices = append(b.want.Devices, c.User)
	b.needPushSettings(c.User, "")
	if c.Room != "" {
		b.needPushSettings(c.User, c.Room)
	}
	if c.Notice != nil {
		b.needJobs(c.User, "") // they are counted
		return
	}
	b.needUserRoom(c.User, c.Room)
	b.needJobs(c.User, store.RoomTopic(c.Room))
}

func (b *batch) applyNotify(c *change.Notify) (change.Reply, error) {
	devices := b.devicesOf(c.User)
	if len(devices) == 0 || !b.wanted(c) {
		return change.Reply{}, nil
	}
	topic := store.RoomTopic(c.Room)
	if c.Notice != nil {
		topic = store.HostTopic(c.Notice.Name)
		if err := b.spaceForNotice(c.User, topic); err != nil {
			return change.Reply{}, err
		}
	}
	due := b.notQuiet(c.User, b.now+c.Delay)
	before := map[string]*store.PushJob{}
	for _, j := range b.jobsOf(c.User, topic) {
		before[j.Device] = &j
	}
	changed := false
	for i := range devices {
		next := store.PushJob{User: c.User, Topic: topic, Device: devices[i].ID, Made: b.now, Seq: c.Seq, Mention: c.Mention,
			Due: due, Expires: due + c.Life}
		if c.Notice != nil {
			next.Title, next.Text, next.Data = c.Notice.Title, c.Notice.Text, c.Notice.Data
		}
		counted := &b.pushes.queued
		switch was := before[devices[i].ID]; {
		case was == nil:
		case !succeed(&next, was, c.Edited, b.now):
			continue
		case was.State == store.PushWaiting && !was.Silent:
			counted = &b.pushes.collapsed
		}
		next.Due = b.notQuiet(c.User, next.Due) // the back-off that goes on may end in quiet hours
		next.Expires = max(due, next.Due) + c.Life
		*counted = append(*counted, devices[i].Provider)
		b.jobs.put(next)
		changed = true
	}
	return change.Reply{Changed: changed}, nil
}

// wanted says whether the user wants to be notified: of what is not read, in a room that
// the user is in, as the settings say. A member whose row is not projected yet is in.
func (b *batch) wanted(c *change.Notify) bool {
	if c.Notice == nil {
		u := b.userRoom(c.User, c.Room)
		if c.Seq <= u.Read || u.Rev > 0 && !u.Role.Present() {
			return false
		}
	}
	all, here := b.pushSettings(c.User, ""), chat.PushSettings{}
	if c.Room != "" {
		here = b.pushSettings(c.User, c.Room)
	}
	level := here.Level
	if level == chat.PushDefault {
		level = all.Level
	}
	switch {
	case level == chat.PushNone, max(all.MuteUntil, here.MuteUntil) > b.now:
		return false
	case level == chat.PushMentions:
		return c.Mention || c.Notice != nil
	}
	return true
}

// spaceForNotice is Busy if the user has as many notices as are kept, and none of the topic.
func (b *batch) spaceForNotice(user chat.UserID, topic string) error {
	topics := map[string]bool{}
	for _, j := range b.jobsOf(user, "") {
		if strings.HasPrefix(j.Topic, store.HostTopic("")) {
			topics[j.Topic] = true
		}
	}
	if len(topics) < maxNotices || topics[topic] {
		return nil
	}
	return chat.E(chat.Busy, "as many notifications are kept of this user as there may be: let some expire, or let one take another's place (collapse)")
}

// succeed makes next what follows a job; false says that there is nothing new in it. A message
// that mentions the user since an edit is news, once, though it was told of before.
func succeed(next, was *store.PushJob, edited bool, now int64) bool {
	if next.Seq == 0 {
		if next.Title == was.Title && next.Text == was.Text && next.Data == was.Data {
			return false
		}
	} else if !was.Silent && next.Seq <= was.Seq {
		if !edited || was.Mention {
			return false
		}
		next.Seq = was.Seq
	}
	next.Made, next.Shown = max(next.Made, was.Made+1), was.Shown
	if was.State != store.PushWaiting || was.Silent {
		return true
	}
	next.Mention = next.Mention || was.Mention
	if was.Due > now { // an attempt is not being made; the back-off of one that failed goes on
		next.Due, next.Attempts, next.Reason = was.Due, was.Attempts, was.Reason
	}
	return true
}

// notQuiet is the time at, or when the quiet hours end that it is in.
func (b *batch) notQuiet(user chat.UserID, at int64) int64 {
	s := b.pushSettings(user, "")
	if s.QuietFrom == s.QuietTo {
		return at
	}
	return s.QuietUntil(time.UnixMilli(at).In(b.cache.zone(s.TimeZone))).UnixMilli()
}

// putOff puts the next attempt of a job that is due in quiet hours off to their end. Its time to
// live does not run meanwhile.
func (b *batch) putOff(j, was *store.PushJob, c *change.Pushed) {
	if j.Silent || c.Outcome != change.PushLater || j.Made != c.Made {
		return
	}
	at := b.notQuiet(j.User, j.Due)
	if at != was.Due || c.Expires != 0 { // else it is applied again
		j.Expires += at - j.Due
	}
	j.Due = at
}

func (b *batch) needPushed(c *change.Pushed) {
	b.needJobs(c.User, c.Topic)
	switch c.Outcome {
	case change.PushLater: // not in quiet hours
		b.needPushSettings(c.User, "")
	case change.PushFailed: // the fact names the provider
		b.want.Devices = append(b.want.Devices, c.User)
	}
}

func (b *batch) applyPushed(c *change.Pushed) (change.Reply, error) {
	for _, was := range b.jobsOf(c.User, c.Topic) {
		if was.Device != c.Device {
			continue
		}
		now, done := pushed(was, c)
		b.putOff(&now, &was, c)
		if done {
			b.jobs.drop(&was)
		} else if now != was {
			b.jobs.put(now)
			if now.State == store.PushDead && was.State != store.PushDead {
				b.facts = append(b.facts, store.UserFact{Kind: store.FactPushDead, User: now.User, Push: b.deadPush(&now)})
			}
		}
		return change.Reply{Changed: done || now != was}, nil
	}
	return change.Reply{}, nil
}

// deadPush is what the host is told of a job that was given up.
func (b *batch) deadPush(j *store.PushJob) *chat.DeadPush {
	p := &chat.DeadPush{User: j.User, Room: j.Room(), Seq: j.Seq, Notice: j.Notice(), Device: j.Device, Reason: j.Reason, Attempts: j.Attempts}
	if d := findDevice(b.devicesOf(j.User), j.Device); d != nil {
		p.Provider = d.Provider
	}
	return p
}

// pushed is the job after an outcome; done says that it is to be deleted.
func pushed(j store.PushJob, c *change.Pushed) (now store.PushJob, done bool) {
	if j.Made != c.Made {
		j.Shown = j.Shown || c.Outcome == change.PushSent
		return j, false
	}
	switch c.Outcome {
	case change.PushSent:
		j.State, j.Shown, j.Due, j.Reason = store.PushSent, true, j.Expires, ""
		return j, j.Silent
	case change.PushLater:
		j.State, j.Due, j.Attempts, j.Reason = store.PushWaiting, c.Due, c.Attempts, c.Reason
		if c.Expires != 0 {
			j.Expires = c.Expires
		}
	case change.PushFailed:
		j.State, j.Due, j.Attempts, j.Reason = store.PushDead, c.Due, c.Attempts, c.Reason
	case change.PushGone:
		return j, true
	}
	return j, false
}

func (b *batch) needJobs(user chat.UserID, topic string) {
	b.want.PushJobs = append(b.want.PushJobs, store.PushTopic{User: user, Topic: topic})
}

// jobsOf are the jobs of a topic, or with "" of all, which was asked for like this.
func (b *batch) jobsOf(user chat.UserID, topic string) []store.PushJob {
	stored, ok := b.state.PushJobs[store.PushTopic{User: user, Topic: topic}]
	if !ok && topic != "" {
		for _, j := range b.state.PushJobs[store.PushTopic{User: user}] {
			if j.Topic == topic {
				stored = append(stored, j)
			}
		}
	}
	return b.jobs.over(stored, string(user), func(k store.RowKey) bool { return topic == "" || k.A == topic })
}

// needReadJobs is for changes that end jobs by readJobs. Where nothing is pushed there are none
// to end, and each read mark is one question less.
func (b *batch) needReadJobs(user chat.UserID, room chat.RoomID) {
	if !b.pushOff {
		b.needJobs(user, store.RoomTopic(room))
	}
}

// readJobs ends the jobs of messages up to seq, which are read, or all jobs of a room that
// the user has left. A device that shows a message, or is being sent one, gets its badge anew.
func (b *batch) readJobs(user chat.UserID, room chat.RoomID, seq chat.Seq, left bool) {
	for _, j := range b.jobsOf(user, store.RoomTopic(room)) {
		switch {
		case j.Seq > seq && !left, j.Silent:
		case j.Shown || j.State == store.PushWaiting && j.Due <= b.now:
			b.jobs.put(store.PushJob{User: user, Topic: j.Topic, Device: j.Device, Made: max(b.now, j.Made+1), Silent: true, Seq: max(seq, j.Seq),
				Due: b.now + silentDelay, Expires: b.now + silentLife})
		default:
			if j.State == store.PushWaiting {
				b.pushes.read++
			}
			b.jobs.drop(&j)
		}
	}
}
