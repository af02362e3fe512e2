package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Devices and the owners of their addresses. A device is filed under its user, the owner of
// an address under the digest of the address, mostly in another shard: what one lane
// decides follows in the other through the outbox (store.Entry.Onward).

func (b *batch) needRegisterDevice(c *change.RegisterDevice) { b.needDevices(c.User) }

// needDevices is for changes that may delete a device, and with it its jobs.
func (b *batch) needDevices(user chat.UserID) {
	b.want.Devices = append(b.want.Devices, user)
	b.want.PushJobs = append(b.want.PushJobs, store.PushTopic{User: user})
}

func (b *batch) applyRegisterDevice(c *change.RegisterDevice) (change.Reply, error) {
	now := chat.Device{User: c.User, ID: c.Device, Provider: c.Provider, Address: c.Address, Language: c.Language, Registered: c.At, Seen: c.At}
	devices := b.devicesOf(c.User)
	was := findDevice(devices, c.Device)
	if was != nil {
		same := was.Provider == now.Provider && was.Address == now.Address
		if c.At < was.Seen || same && c.At == was.Seen {
			return change.Reply{}, nil
		}
		if same {
			now.Registered = was.Registered
		} else {
			b.disown(was)
		}
	}
	var others []chat.Device
	for i := range devices {
		switch d := &devices[i]; {
		case d.ID == now.ID:
		case d.Provider == now.Provider && d.Address == now.Address: // the app was installed again
			b.dropDevice(d)
		default:
			others = append(others, *d)
		}
	}
	if len(others) >= chat.MaxDevices {
		oldest := &others[0]
		for i := range others {
			if others[i].Seen < oldest.Seen {
				oldest = &others[i]
			}
		}
		b.dropDevice(oldest)
		b.disown(oldest)
	}
	b.devices.put(now)
	b.follow(&change.ClaimAddress{Digest: now.Digest(), User: now.User, Device: now.ID, At: now.Seen})
	return change.Reply{Changed: true}, nil
}

func (b *batch) needDropDevice(c *change.DropDevice) { b.needDevices(c.User) }

func (b *batch) applyDropDevice(c *change.DropDevice) (change.Reply, error) {
	d := findDevice(b.devicesOf(c.User), c.Device)
	if d == nil || c.Digest != "" && d.Digest() != c.Digest || c.Before != 0 && d.Seen >= c.Before {
		return change.Reply{}, nil
	}
	b.dropDevice(d)
	b.disown(d)
	return change.Reply{Changed: true}, nil
}

func (b *batch) needClaimAddress(c *change.ClaimAddress) {
	b.want.PushOwners = append(b.want.PushOwners, c.Digest)
}

func (b *batch) applyClaimAddress(c *change.ClaimAddress) (change.Reply, error) {
	stored, ok := b.state.PushOwners[c.Digest]
	stored.Digest = c.Digest
	owner, owned := b.owners.one(stored, ok)
	own := owned && owner.User == c.User && owner.Device == c.Device
	switch {
	case c.Gone && own && owner.Seen <= c.At:
		b.owners.drop(&owner)
		return change.Reply{Changed: true}, nil
	case c.Gone, own && owner.Seen >= c.At:
		return change.Reply{}, nil
	case owned && !own && owner.Seen > c.At: // this one comes late
		b.follow(&change.DropDevice{User: c.User, Device: c.Device, Digest: c.Digest, Before: owner.Seen})
		return change.Reply{}, nil
	case owned && !own:
		b.follow(&change.DropDevice{User: owner.User, Device: owner.Device, Digest: c.Digest, Before: c.At + 1})
	}
	b.owners.put(store.PushOwner{Digest: c.Digest, User: c.User, Device: c.Device, Seen: c.At})
	return change.Reply{Changed: true}, nil
}

func (b *batch) devicesOf(user chat.UserID) []chat.Device {
	return b.devices.over(b.state.Devices[user], string(user), func(store.RowKey) bool { return true })
}

func findDevice(devices []chat.Device, id string) *chat.Device {
	for i := range devices {
		if devices[i].ID == id {
			return &devices[i]
		}
	}
	return nil
}

// dropDevice deletes a device and its jobs.
func (b *batch) dropDevice(d *chat.Device) {
	b.devices.drop(d)
	for _, j := range b.jobsOf(d.User, "") {
		if j.Device == d.ID {
			b.jobs.drop(&j)
		}
	}
}

// disown has the address of a device have no owner any more.
func (b *batch) disown(d *chat.Device) {
	b.follow(&change.ClaimAddress{Digest: d.Digest(), User: d.User, Device: d.ID, At: d.Seen, Gone: true})
}

// follow adds a change that follows from the commit, for the lane that it belongs to.
func (b *batch) follow(c change.Change) { b.onward = append(b.onward, change.Append(nil, c)) }
