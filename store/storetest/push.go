package storetest

import (
	"fmt"
	"math"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func checkDevices(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	same(t, "none", get(d.Devices(ctx, "ann"))(t), nil)

	phone := chat.Device{User: "ann", ID: "phone", Provider: "fcm", Address: `{"token":"é👍\u2028"}`, Registered: 1 << 40, Seen: 1<<40 + 1, Language: "zh"}
	tablet := chat.Device{User: "ann", ID: "Tablet", Provider: "apns", Address: `{}`, Registered: 3, Seen: 4}
	other := chat.Device{User: "Ann", ID: "phone", Provider: "webpush", Address: "x", Registered: 5, Seen: 6}
	w.write(store.Changes{Devices: []chat.Device{phone, tablet, other}})
	same(t, "ann's", get(d.Devices(ctx, "ann"))(t), []chat.Device{tablet, phone})
	same(t, "Ann's", get(d.Devices(ctx, "Ann"))(t), []chat.Device{other})

	phone.Provider, phone.Address, phone.Registered, phone.Seen = "apns", "y", 7, 8
	w.write(store.Changes{Devices: []chat.Device{phone}, Delete: []store.RowKey{store.KeyOf(&tablet), store.KeyOf(&tablet)}})
	same(t, "later", get(d.Devices(ctx, "ann"))(t), []chat.Device{phone})
	same(t, "loaded", get(d.Load(ctx, &store.Need{Devices: []chat.UserID{"ann", "nobody", "Ann", "ann"}}))(t).Devices,
		map[chat.UserID][]chat.Device{"ann": {phone}, "Ann": {other}})
}

func checkPushSettings(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	all := chat.PushSettings{User: "ann", Level: chat.PushMentions, MuteUntil: 1 << 40, QuietFrom: 22 * 60, QuietTo: 7*60 + 1,
		TimeZone: "Europe/Paris", HideContent: true}
	a, b := chat.PushSettings{User: "ann", Room: "a", Level: chat.PushNone}, chat.PushSettings{User: "ann", Room: "b", MuteUntil: 5}
	other := chat.PushSettings{User: "bob", Room: "a", Level: chat.PushAll}
	w.write(store.Changes{PushSettings: []chat.PushSettings{b, all, other, a}})
	same(t, "from the first", get(d.PushSettings(ctx, "ann", "", 9))(t), []chat.PushSettings{all, a, b})
	same(t, "the first", get(d.PushSettings(ctx, "ann", "", 1))(t), []chat.PushSettings{all})
	same(t, "from a", get(d.PushSettings(ctx, "ann", "a", 9))(t), []chat.PushSettings{a, b})
	same(t, "behind b", get(d.PushSettings(ctx, "ann", "b\x00", 9))(t), nil)

	a.Level, a.HideContent = chat.PushAll, false
	w.write(store.Changes{PushSettings: []chat.PushSettings{a}, Delete: []store.RowKey{store.KeyOf(&b)}})
	need := store.Need{PushSettings: []store.UserRoomKey{{User: "ann"}, {User: "ann", Room: "a"}, {User: "ann", Room: "b"}, {User: "bob"}, {User: "ann"}}}
	same(t, "loaded", get(d.Load(ctx, &need))(t).PushSettings,
		map[store.UserRoomKey]chat.PushSettings{{User: "ann"}: all, {User: "ann", Room: "a"}: a})
}

func checkRecipients(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	phone, tablet := chat.Device{User: "ann", ID: "phone", Provider: "fcm"}, chat.Device{User: "ann", ID: "Tablet", Provider: "apns"}
	other := chat.Device{User: "Ann", ID: "phone", Provider: "webpush", Address: "x", Registered: 5, Seen: 6}
	settings := chat.PushSettings{User: "ann", Level: chat.PushMentions, TimeZone: "Europe/Paris", QuietTo: 5, HideContent: true}
	in := func(user chat.UserID, room chat.RoomID, role chat.Role, read chat.Seq) store.UserRoom {
		return store.UserRoom{User: user, Room: room, Role: role, Rev: 3, Read: read}
	}
	a, b, c := in("ann", "a", chat.RoleMember, 7), in("ann", "b", chat.RoleOwner, 0), in("ann", "c", chat.RoleMuted, 1)
	w.write(store.Changes{
		Devices: []chat.Device{phone, other, tablet}, UserRooms: []store.UserRoom{c, in("ann", "a2", chat.RoleNone, 9), a, b, in("bob", "a", chat.RoleMember, 2)},
		PushSettings: []chat.PushSettings{{User: "ann", Room: "a", Level: chat.PushNone}, settings, {User: "bob", Room: "a", Level: chat.PushAll}},
	})
	want := []store.Recipient{
		{User: "bob", Settings: chat.PushSettings{User: "bob"}, Rooms: []store.UserRoom{in("bob", "a", chat.RoleMember, 2)}},
		{User: "ann", Devices: []chat.Device{tablet, phone}, Settings: settings, Rooms: []store.UserRoom{a, b, c}},
		{User: "nobody", Settings: chat.PushSettings{User: "nobody"}},
		{User: "Ann", Devices: []chat.Device{other}, Settings: chat.PushSettings{User: "Ann"}},
	}
	users := []chat.UserID{"bob", "ann", "nobody", "Ann"}
	same(t, "recipients", get(d.Recipients(ctx, users, 9))(t), want)
	want[1].Rooms = want[1].Rooms[:2]
	same(t, "with two rooms", get(d.Recipients(ctx, users, 2))(t), want)
	same(t, "none", get(d.Recipients(ctx, nil, 9))(t), []store.Recipient{})

	var many []chat.UserID
	var devices []chat.Device
	for n := range 700 { // more than one statement asks for
		u := chat.UserID(fmt.Sprint("u", n))
		many, devices = append(many, u), append(devices, chat.Device{User: u, ID: "phone", Provider: "fcm", Address: string(u)})
	}
	w.write(store.Changes{Devices: devices})
	for i, r := range get(d.Recipients(ctx, many, 9))(t) {
		same(t, "one of many", r, store.Recipient{User: many[i], Devices: devices[i : i+1], Settings: chat.PushSettings{User: many[i]}})
	}
}

func checkPushJobs(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	var jobs []store.PushJob
	for n := range int64(9) { // of three users: users, topics and devices by turns, due in this order
		jobs = append(jobs, job(chat.UserID(fmt.Sprint("u", n%3)), store.RoomTopic(chat.RoomID(fmt.Sprint(n/3%2))), fmt.Sprint("d", n/6), n))
	}
	w.write(store.Changes{PushJobs: jobs})
	same(t, "none is due", get(d.DuePushJobs(ctx, 0, 999, 9))(t), nil)
	same(t, "two are due", get(d.DuePushJobs(ctx, 0, 1001, 9))(t), jobs[:2])
	same(t, "the first three", get(d.DuePushJobs(ctx, 0, 5000, 3))(t), jobs[:3])
	same(t, "two in between", get(d.DuePushJobs(ctx, 1004, 1005, 9))(t), jobs[4:6])
	same(t, "the first from there", get(d.DuePushJobs(ctx, 1004, math.MaxInt64, 1))(t), jobs[4:5])
	same(t, "all", get(d.DuePushJobs(ctx, math.MinInt64, 5000, 99))(t), jobs)

	topic := store.PushTopic{User: "u1", Topic: store.RoomTopic("0")}
	need := store.Need{PushJobs: []store.PushTopic{topic, {User: "u2"}, {User: "nobody"}, {User: "u1", Topic: "none"}, topic}}
	same(t, "loaded", get(d.Load(ctx, &need))(t).PushJobs, map[store.PushTopic][]store.PushJob{
		topic: {jobs[1], jobs[7]}, {User: "u2"}: {jobs[2], jobs[8], jobs[5]},
	})

	var dead []store.PushJob
	for at := (store.PushJobKey{}); ; {
		page := get(d.DeadPushJobs(ctx, at, 2))(t)
		dead = append(dead, page...)
		if len(page) < 2 {
			break
		}
		at = page[1].Key()
	}
	same(t, "dead", dead, []store.PushJob{jobs[2], jobs[8], jobs[5]})

	jobs[0].Due, jobs[0].State, jobs[0].Made = 3000, store.PushDead, 99
	w.write(store.Changes{PushJobs: jobs[:1], Delete: []store.RowKey{store.KeyOf(&jobs[1])}})
	same(t, "put off", get(d.DuePushJobs(ctx, 0, 1002, 9))(t), jobs[2:3])
	same(t, "later", get(d.DuePushJobs(ctx, 0, 3000, 99))(t), append(jobs[2:9:9], jobs[0]))
}

func checkPushOwners(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	one, two := store.PushOwner{Digest: "one", User: "ann", Device: "phone", Seen: 1 << 40}, store.PushOwner{Digest: "two", User: "bob"}
	w.write(store.Changes{PushOwners: []store.PushOwner{one, two}})
	one.User, one.Device, one.Seen = "cem", "tablet", 5
	w.write(store.Changes{PushOwners: []store.PushOwner{one}})
	need := &store.Need{PushOwners: []string{"one", "two", "three", "one"}}
	same(t, "loaded", get(d.Load(ctx, need))(t).PushOwners, map[string]store.PushOwner{"one": one, "two": two})
	w.write(store.Changes{Delete: []store.RowKey{store.KeyOf(&two)}})
	same(t, "loaded later", get(d.Load(ctx, need))(t).PushOwners, map[string]store.PushOwner{"one": one})
}

func checkUserNodes(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	ann, bob := store.UserNodes{User: "ann", Nodes: "n1"}, store.UserNodes{User: "bob", Nodes: "n1\nn2"}
	w.write(store.Changes{UserNodes: []store.UserNodes{ann, bob}})
	ann.Nodes = "n2\nn3"
	w.write(store.Changes{UserNodes: []store.UserNodes{ann}})
	need := &store.Need{UserNodes: []chat.UserID{"ann", "bob", "Ann", "ann"}}
	same(t, "loaded", get(d.Load(ctx, need))(t).UserNodes, map[chat.UserID]store.UserNodes{"ann": ann, "bob": bob})
	w.write(store.Changes{Delete: []store.RowKey{store.KeyOf(&bob), store.KeyOf(&bob)}})
	same(t, "loaded later", get(d.Load(ctx, need))(t).UserNodes, map[chat.UserID]store.UserNodes{"ann": ann})
}
