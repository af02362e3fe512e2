package redispresence

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/redislink"
)

const (
	pipelined = 2048 // commands that wait for an answer together
	members   = 1024 // of a set, in one command
)

// do sends the commands, in order, and returns their replies. A reply of nil is no
// error. The first error of a command is returned behind all of them.
func (d *Driver) do(ctx context.Context, cmds rueidis.Commands) ([]rueidis.RedisResult, error) {
	replies := make([]rueidis.RedisResult, 0, len(cmds))
	for part := range slices.Chunk(cmds, pipelined) {
		within, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
		got := d.client.DoMulti(within, part...)
		cancel()
		for _, r := range got {
			if err := r.Error(); err != nil && !rueidis.IsRedisNil(err) {
				return nil, fmt.Errorf("redis: %w", err)
			}
		}
		replies = append(replies, got...)
	}
	return replies, nil
}

// left is how long the lease lasts. What other programs read of a node ends with its lease.
func (d *Driver) left() time.Duration {
	return max(d.cfg.Life-d.cfg.Now().Sub(d.renewed), time.Millisecond)
}

// keep gives a key as long a life as the lease has.
func (d *Driver) keep(key string) rueidis.Completed {
	return d.client.B().Pexpire().Key(key).Milliseconds(d.left().Milliseconds()).Build()
}

// keepEntries is keep for a set of this node alone (entriesLife).
func (d *Driver) keepEntries(key string) rueidis.Completed {
	return d.client.B().Pexpire().Key(key).Milliseconds(entriesLife * d.cfg.Life.Milliseconds()).Build()
}

// tellChanges tells of users of a room whether they are online through this node.
func (d *Driver) tellChanges(room chat.RoomID, changed map[chat.UserID]struct{}) rueidis.Commands {
	var on, off []string
	for user := range changed {
		if _, is := d.rooms[room][user]; is {
			on = append(on, string(user))
		} else {
			off = append(off, string(user))
		}
	}
	key := d.keys.entries(room, d.name)
	cmds := d.add(key, on)
	for part := range slices.Chunk(off, members) {
		cmds = append(cmds, d.client.B().Srem().Key(key).Member(part...).Build())
	}
	return append(cmds, d.keepEntries(key))
}

// tellRoom tells all users of a room.
func (d *Driver) tellRoom(room chat.RoomID) rueidis.Commands {
	key := d.keys.entries(room, d.name)
	users := make([]string, 0, len(d.rooms[room]))
	for user := range d.rooms[room] {
		users = append(users, string(user))
	}
	cmds := append(rueidis.Commands{d.client.B().Del().Key(key).Build()}, d.add(key, users)...)
	cmds = append(cmds, d.keepEntries(key))
	return append(cmds, d.unite(room)...)
}

func (d *Driver) add(key string, users []string) (cmds rueidis.Commands) {
	for part := range slices.Chunk(users, members) {
		cmds = append(cmds, d.client.B().Sadd().Key(key).Member(part...).Build())
	}
	return cmds
}

// unite makes the room's users of all nodes from those of each that is alive.
func (d *Driver) unite(room chat.RoomID) rueidis.Commands {
	b := d.client.B()
	sets := []string{d.keys.entries(room, d.name)}
	for _, name := range slices.Sorted(maps.Keys(d.live)) {
		sets = append(sets, d.keys.entries(room, name))
	}
	all, ordered := d.keys.room(room), d.keys.ordered(room)
	return rueidis.Commands{
		b.Sunionstore().Destination(all).Key(sets...).Build(), d.keep(all),
		b.Zunionstore().Destination(ordered).Numkeys(int64(len(sets))).Key(sets...).AggregateMax().Build(), d.keep(ordered),
	}
}

// tellUser tells whether the user is online through this node.
func (d *Driver) tellUser(user chat.UserID) rueidis.Commands {
	b := d.client.B()
	key := d.keys.user(user)
	if d.users[user] == 0 {
		return rueidis.Commands{b.Srem().Key(key).Member(d.name).Build()}
	}
	return rueidis.Commands{b.Sadd().Key(key).Member(d.name).Build(), d.keep(key)}
}

// Ping asks the server whether it lets this program in, and write the keys that begin with
// the prefix. What it writes is gone at once.
func Ping(ctx context.Context, url, prefix string) error {
	return redislink.Try(ctx, url, func(client rueidis.Client) []rueidis.RedisResult {
		k, b := keys{prefix: prefix, incarnation: rand.Text()}, client.B()
		room := chat.RoomID("doctor:" + k.incarnation)
		all, own := k.ordered(room), k.entries(room, "doctor")
		return client.DoMulti(ctx,
			b.Set().Key(k.lease("doctor:"+k.incarnation)).Value("").Px(time.Second).Build(),
			b.Smembers().Key(k.nodes()).Build(), b.Sadd().Key(own).Member("doctor").Build(),
			b.Zunionstore().Destination(all).Numkeys(1).Key(own).AggregateMax().Build(), b.Sunionstore().Destination(k.room(room)).Key(own).Build(),
			b.Del().Key(own, all, k.room(room)).Build(),
		)
	})
}
