package redispresence

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/roomtide/roomtide/internal/redislink"
)

// run beats every Every, soon when it is asked to, and when the lease of another node
// ends. Two processes of one name, which take the lease from each other, do so no
// faster than the pause.
func (d *Driver) run(ctx context.Context, next time.Duration) {
	timer := time.NewTimer(next)
	defer timer.Stop()
	last := d.cfg.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-d.kick:
			if wait := d.cfg.Every/5 - d.cfg.Now().Sub(last); wait > 0 {
				timer.Reset(wait)
				continue
			}
		}
		last = d.cfg.Now()
		timer.Reset(d.tryBeat(ctx))
	}
}

// tryBeat is beat, reported. It returns when the next one is due.
func (d *Driver) tryBeat(ctx context.Context) time.Duration {
	if d.lock(ctx) != nil {
		return d.cfg.Every
	}
	defer d.unlock()
	next, err := d.beat(ctx)
	if err != nil && ctx.Err() != nil {
		return d.cfg.Every
	}
	switch {
	case err != nil:
		d.setTold(false)
		d.metrics.failures.Inc()
		if !d.reported {
			d.cfg.Log.Warn("presence: "+redislink.Reason(err)+"; the store is asked who is online, and redis again and again", "err", err)
		}
	case d.reported:
		d.cfg.Log.Info("presence: redis works again")
	}
	d.reported = err != nil
	if err != nil {
		// What the callers ran into meanwhile is the same failure.
		select {
		case <-d.kick:
		default:
		}
		return min(d.cfg.Every, time.Second)
	}
	return next
}

// beat renews the lease, looks which processes are alive, and makes right what Redis
// has of this node.
func (d *Driver) beat(ctx context.Context) (next time.Duration, err error) {
	b := d.client.B()
	lease := d.keys.lease(d.cfg.Node)
	replies, err := d.do(ctx, rueidis.Commands{
		b.Set().Key(lease).Value(d.keys.incarnation).Xx().Get().Px(d.cfg.Life).Build(),
		b.Smembers().Key(d.keys.nodes()).Build(),
	})
	if err != nil {
		return 0, err
	}
	d.renewed = d.cfg.Now()
	holder, _ := replies[0].ToString() // "" for nil
	if holder != "" && holder != d.keys.incarnation && d.greeted {
		d.metrics.twins.Inc()
		d.cfg.Log.Error("presence: another process has the name of this node: give each node a name of its own", "node", d.cfg.Node)
	}
	if d.greeted = true; holder != d.keys.incarnation {
		d.setTold(false)
	}
	names, err := replies[1].AsStrSlice()
	if err != nil {
		return 0, err
	}
	before := len(d.live)
	if next, err = d.meet(ctx, names); err != nil {
		return 0, err
	}
	if d.count(len(d.live) < before) > 0 {
		next = min(next, d.cfg.Every/5)
	}
	if !d.isTold() {
		return next, d.tellAll(ctx)
	}
	return next, d.verify(ctx)
}

// believed is how many heartbeats may find too few processes behind the end of one, as a
// node that stops is known as alive for a moment longer.
const believed = 1

// count finds out whether Redis has what all nodes that are alive tell, where it may have
// lost something: what this node told, or another process. It returns short.
func (d *Driver) count(lost bool) int {
	nodes, rebuilt := d.cfg.Nodes(), !d.isTold()
	switch here := 1 + len(d.live); {
	case here >= nodes:
		d.short = 0
	case rebuilt:
		d.short = believed + 1
	case lost || d.short > 0:
		d.short++
	}
	d.mu.Lock()
	was := d.part
	d.part = d.short > believed
	part := d.part
	d.mu.Unlock()
	switch {
	case part && !was:
		d.cfg.Log.Warn("presence: not all nodes have told redis who is online; the store is asked until they have", "told", 1+len(d.live), "nodes", nodes)
	case was && !part:
		d.cfg.Log.Info("presence: all nodes have told redis who is online")
	}
	return d.short
}

// stranger reports whether a name is that of no process that this one knows.
func (d *Driver) stranger(names []string) bool {
	for _, name := range names {
		if name != d.name && !d.live[name] {
			return true
		}
	}
	return false
}

// meet finds out which of the named processes are alive, takes the others off the list,
// and unites this node's rooms anew if others are alive than before. It returns when
// one of them may have ended.
func (d *Driver) meet(ctx context.Context, names []string) (next time.Duration, err error) {
	for name := range d.live { // also those that the list has lost
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	live, dead, next, err := d.look(ctx, names)
	if err != nil {
		return 0, err
	}
	same := maps.Equal(live, d.live)
	d.live = live
	b := d.client.B()
	var cmds rueidis.Commands
	if len(dead) > 0 {
		cmds = append(cmds, b.Srem().Key(d.keys.nodes()).Member(dead...).Build())
	}
	if !same && d.isTold() {
		for room := range d.rooms {
			cmds = append(cmds, d.unite(room)...)
		}
		for user := range d.users {
			if len(dead) > 0 {
				cmds = append(cmds, b.Srem().Key(d.keys.user(user)).Member(dead...).Build())
			}
		}
	}
	_, err = d.do(ctx, cmds)
	return next, err
}

// look asks for the leases of processes, and returns when the first may have ended.
func (d *Driver) look(ctx context.Context, names []string) (live map[string]bool, dead []string, next time.Duration, err error) {
	b := d.client.B()
	var cmds rueidis.Commands
	for _, name := range names {
		node, _, _ := strings.Cut(name, ":")
		cmds = append(cmds, b.Get().Key(d.keys.lease(node)).Build(), b.Pttl().Key(d.keys.lease(node)).Build())
	}
	replies, err := d.do(ctx, cmds)
	if err != nil {
		return nil, nil, 0, err
	}
	live, next = map[string]bool{}, d.cfg.Every
	for i, name := range names {
		_, incarnation, _ := strings.Cut(name, ":")
		holder, _ := replies[2*i].ToString() // "" for nil
		left, _ := replies[2*i+1].ToInt64()
		switch {
		case name == d.name:
		case holder == incarnation && left > 0:
			live[name] = true
			next = min(next, time.Duration(left+1)*time.Millisecond)
		default:
			dead = append(dead, name)
		}
	}
	return live, dead, next, nil
}

// tellAll tells Redis everything, which it may have in part.
func (d *Driver) tellAll(ctx context.Context) error {
	b := d.client.B()
	cmds := rueidis.Commands{
		b.Set().Key(d.keys.lease(d.cfg.Node)).Value(d.keys.incarnation).Px(d.cfg.Life).Build(),
		b.Sadd().Key(d.keys.nodes()).Member(d.name).Build(),
	}
	for room := range d.rooms {
		cmds = append(cmds, d.tellRoom(room)...)
	}
	for user := range d.users {
		cmds = append(cmds, d.tellUser(user)...)
	}
	if _, err := d.do(ctx, cmds); err != nil {
		return err
	}
	d.metrics.rebuilds.Inc()
	d.setTold(true)
	return nil
}
