package lane

import (
	"strconv"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// React puts the user's reaction under a message, or takes it away. What is so
// already changes nothing. Replies Seq, Rev. Errors: NotFound (also for a
// deleted message), NotMember, TooLarge (too many different emoji).
type React struct {
	Room   chat.RoomID
	Seq    chat.Seq
	User   chat.UserID
	Server bool
	Emoji  string
	On     bool
}

func (o *React) Slot() chat.Slot { return o.Room.Slot() }

func (o *React) size() int { return 256 }

func (o *React) need(b *batch) {
	needMessageBy(b, o.Room, o.Seq, o.User)
	b.needReactions(o.Room, o.Seq)
}

func (o *React) apply(b *batch) (Reply, error) {
	r, m, role, err := messageBy(b, o.Room, o.Seq, o.User)
	if err == nil && !o.Server {
		err = chat.CanRead(role)
	}
	if err == nil && m.Deleted {
		err = chat.E(chat.NotFound, "this message was deleted")
	}
	if err != nil {
		return Reply{}, err
	}
	key := store.ReactionKey{Room: o.Room, Seq: o.Seq, Emoji: o.Emoji, User: o.User}
	standing := b.standing(o.Room, o.Seq)
	if standing[key] == o.On {
		return Reply{Seq: m.Seq, Rev: m.Rev}, nil
	}
	if o.On && newEmoji(standing, o.Emoji) >= b.limits.Emojis {
		return Reply{}, chat.E(chat.TooLarge, "at most "+strconv.Itoa(b.limits.Emojis)+" different reactions under one message")
	}
	b.setReaction(key, o.On)
	n := *m
	n.Rev = b.bump(r, &chat.Event{Kind: chat.EventReacted, Seq: o.Seq, User: o.User, Emoji: o.Emoji, On: o.On})
	b.update(&n)
	return Reply{Seq: n.Seq, Rev: n.Rev, Time: b.now, Changed: true}, nil
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
