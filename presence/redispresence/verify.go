package redispresence

import (
	"context"
	"hash/maphash"

	"github.com/redis/rueidis"

	"github.com/roomtide/roomtide/chat"
)

// At rest, what keys cost is how often they are looked at. Their life is that of a lease, which
// is three heartbeats, so every other heartbeat renews a key, and one of six compares the
// sizes of the sets of a room. Which ones is spread by the names of rooms and users. The lease
// itself, and so whether Redis was wiped, is looked at by every heartbeat.
const (
	renewIn = 2 // heartbeats
	checkIn = 6 // heartbeats; a multiple of renewIn
)

// entriesLife is the life of a node's own set of a room, in lives of a lease: it counts as long as
// the lease does, and is renewed when it is checked.
const entriesLife = 4

// turn is in which of checkIn heartbeats a key is checked: 0 in this one.
func (d *Driver) turn(name string) uint64 {
	return (maphash.String(d.seed, name) + d.beats) % checkIn
}

// verify gives what this node has told its full life again, where its turn is, and tells what
// is missing. A set of another size, or a key that was overwritten, is told again as well.
func (d *Driver) verify(ctx context.Context) error {
	b := d.client.B()
	d.beats++
	cmds := rueidis.Commands{b.Sadd().Key(d.keys.nodes()).Member(d.name).Build()}
	var rooms []chat.RoomID
	var asked []int // of each of rooms, how many commands
	for room := range d.rooms {
		turn, before := d.turn(string(room)), len(cmds)
		if turn%renewIn != 0 {
			continue
		}
		cmds = append(cmds, d.keep(d.keys.room(room)), d.keep(d.keys.ordered(room)))
		if turn == 0 {
			own := d.keys.entries(room, d.name)
			cmds = append(cmds, d.keepEntries(own), b.Scard().Key(own).Build(), b.Scard().Key(d.keys.room(room)).Build(), b.Zcard().Key(d.keys.ordered(room)).Build())
		}
		rooms, asked = append(rooms, room), append(asked, len(cmds)-before)
	}
	var users []chat.UserID
	for user := range d.users {
		if d.turn(string(user))%renewIn == 0 {
			users, cmds = append(users, user), append(cmds, d.keep(d.keys.user(user)))
		}
	}
	replies, err := d.do(ctx, cmds)
	if err != nil {
		return err
	}
	_, err = d.do(ctx, d.repair(rooms, asked, users, replies))
	return err
}

// repair is what tells Redis what it lacks, by its replies to verify.
func (d *Driver) repair(rooms []chat.RoomID, asked []int, users []chat.UserID, replies []rueidis.RedisResult) (cmds rueidis.Commands) {
	next := func() int {
		n, _ := replies[0].ToInt64()
		replies = replies[1:]
		return int(n)
	}
	if unlisted := next() == 1; unlisted { // others may have left this process out
		for room := range d.rooms {
			cmds = append(cmds, d.tellRoom(room)...)
		}
		rooms, replies = nil, replies[sum(asked):]
	}
	for i, room := range rooms {
		all, ordered := next(), next()
		whole := all == 1 && ordered == 1
		if asked[i] > 2 {
			there, own, united, sorted := next(), next(), next(), next()
			whole = whole && there == 1 && own == len(d.rooms[room]) && united >= own && united == sorted
		}
		if !whole {
			cmds = append(cmds, d.tellRoom(room)...)
		}
	}
	for _, user := range users {
		if next() != 1 {
			cmds = append(cmds, d.tellUser(user)...)
		}
	}
	return cmds
}

func sum(ns []int) (total int) {
	for _, n := range ns {
		total += n
	}
	return total
}
