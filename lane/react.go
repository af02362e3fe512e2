package lane

import (
	"maps"
	"strconv"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// A reaction needs its own row and the different emoji under the message: what it
// costs does not grow with the reactions that are there.
func (b *batch) needReact(c *change.React) {
	b.needMessageBy(c.Room, c.Seq, c.User)
	key := reactionKey(c)
	b.want.Reactions = append(b.want.Reactions, key)
	if emoji := b.canonical(c.Emoji); !c.On && emoji != c.Emoji {
		key.Emoji = emoji
		b.want.Reactions = append(b.want.Reactions, key)
	}
	b.want.Emoji = append(b.want.Emoji, store.MessageRef{Room: c.Room, Seq: c.Seq})
}

func reactionKey(c *change.React) store.ReactionKey {
	return store.ReactionKey{Room: c.Room, Seq: c.Seq, Emoji: c.Emoji, User: c.User}
}

// canonical is the emoji as it is stored, or as it is if it is none.
func (b *batch) canonical(emoji string) string {
	if e, err := chat.CanonicalEmoji(emoji, b.limits); err == nil {
		return e
	}
	return emoji
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
	key := reactionKey(c)
	if !c.On && !b.stands(key) { // as it is stored, not as it is written
		key.Emoji = b.canonical(c.Emoji)
	}
	if b.stands(key) == c.On {
		return change.Reply{Seq: m.Seq, Rev: m.Rev}, nil
	}
	counts := b.emojiOf(store.MessageRef{Room: c.Room, Seq: c.Seq})
	if c.On && counts[c.Emoji] == 0 && len(counts) >= b.limits.Emojis {
		return change.Reply{}, chat.E(chat.TooLarge, "at most "+strconv.Itoa(b.limits.Emojis)+" different reactions under one message")
	}
	b.setReaction(key, c.On, counts)
	n := *m
	n.Rev = b.bump(r, &chat.Event{Kind: chat.EventReacted, Seq: c.Seq, User: c.User, Emoji: key.Emoji, On: c.On})
	b.update(&n)
	return change.Reply{Seq: n.Seq, Rev: n.Rev, Time: b.now, Changed: true}, nil
}

// stands reports whether the reaction is there: as stored, with the changes of this
// batch.
func (b *batch) stands(key store.ReactionKey) bool {
	if c, changed := b.reactions[key]; changed {
		return c.On
	}
	return b.state.Reactions[key]
}

// emojiOf is how many chose each emoji under a message: as stored, with the changes
// of this batch, which setReaction makes in it.
func (b *batch) emojiOf(ref store.MessageRef) map[string]int {
	counts, ok := b.emoji[ref]
	if !ok {
		if counts = maps.Clone(b.state.Emoji[ref]); counts == nil {
			counts = map[string]int{}
		}
		if b.emoji == nil {
			b.emoji = map[store.MessageRef]map[string]int{}
		}
		b.emoji[ref] = counts
	}
	return counts
}

// setReaction changes whether a reaction stands. counts is emojiOf its message.
func (b *batch) setReaction(key store.ReactionKey, on bool, counts map[string]int) {
	if b.reactions == nil {
		b.reactions = map[store.ReactionKey]store.ReactionChange{}
	}
	b.reactions[key] = store.ReactionChange{ReactionKey: key, On: on, Time: b.now}
	if on {
		counts[key.Emoji]++
	} else if counts[key.Emoji]--; counts[key.Emoji] <= 0 {
		delete(counts, key.Emoji)
	}
}
