package lane

import (
	"strconv"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func (b *batch) needReact(c *change.React) {
	b.needMessageBy(c.Room, c.Seq, c.User)
	b.needReactions(c.Room, c.Seq)
}

func (b *batch) applyReact(c *change.React) (change.Reply, error) {
	r, m, role, err := b.messageBy(c.Room, c.Seq, c.User, c.Server)
	if err == nil && !c.Server {
		if err = chat.CanReact(&r.Room, role, c.On); err == nil {
			err = chat.CanWrite(&r.Room)
		}
	}
	if err == nil && m.Deleted {
		err = chat.E(chat.NotFound, "this message was deleted")
	}
	if err != nil {
		return change.Reply{}, err
	}
	key := store.ReactionKey{Room: c.Room, Seq: c.Seq, Emoji: c.Emoji, User: c.User}
	standing := b.standing(c.Room, c.Seq)
	if !c.On && !standing[key] { // as it is stored, not as it is written
		if emoji, err := chat.CanonicalEmoji(c.Emoji, b.limits); err == nil {
			key.Emoji = emoji
		}
	}
	if standing[key] == c.On {
		return change.Reply{Seq: m.Seq, Rev: m.Rev}, nil
	}
	if c.On && newEmoji(standing, c.Emoji) >= b.limits.Emojis {
		return change.Reply{}, chat.E(chat.TooLarge, "at most "+strconv.Itoa(b.limits.Emojis)+" different reactions under one message")
	}
	b.setReaction(key, c.On)
	n := *m
	n.Rev = b.bump(r, &chat.Event{Kind: chat.EventReacted, Seq: c.Seq, User: c.User, Emoji: key.Emoji, On: c.On})
	b.update(&n)
	return change.Reply{Seq: n.Seq, Rev: n.Rev, Time: b.now, Changed: true}, nil
}

// newEmoji counts the different emoji if this one is not among them, else none.
func newEmoji(standing map[store.ReactionKey]bool, emoji string) int {
	kinds := map[string]bool{}
	for k := range standing {
		kinds[k.Emoji] = true
	}
	if kinds[emoji] {
		return 0
	}
	return len(kinds)
}

func (b *batch) needReactions(id chat.RoomID, seq chat.Seq) {
	b.want.Reactions = append(b.want.Reactions, store.MessageRef{Room: id, Seq: seq})
}

// standing is the reactions under a message: as stored, with the changes of
// this batch.
func (b *batch) standing(id chat.RoomID, seq chat.Seq) map[store.ReactionKey]bool {
	all := map[store.ReactionKey]bool{}
	for _, r := range b.state.Reactions[store.MessageRef{Room: id, Seq: seq}] {
		for _, u := range r.Users {
			all[store.ReactionKey{Room: id, Seq: seq, Emoji: r.Emoji, User: u}] = true
		}
	}
	for k, c := range b.reactions {
		switch {
		case k.Room != id || k.Seq != seq:
		case c.On:
			all[k] = true
		default:
			delete(all, k)
		}
	}
	return all
}

func (b *batch) setReaction(key store.ReactionKey, on bool) {
	if b.reactions == nil {
		b.reactions = map[store.ReactionKey]store.ReactionChange{}
	}
	b.reactions[key] = store.ReactionChange{ReactionKey: key, On: on, Time: b.now}
}
