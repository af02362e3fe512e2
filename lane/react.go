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
	b.want.Reactions = append(b.want.Reactions, store.MessageRef{Room: o.Room, Seq: o.Seq})
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
	on, kinds := o.standing(b, key)
	if on == o.On {
		return Reply{Seq: m.Seq, Rev: m.Rev}, nil
	}
	if o.On && !kinds[o.Emoji] && len(kinds) >= b.limits.Emojis {
		return Reply{}, chat.E(chat.TooLarge, "at most "+strconv.Itoa(b.limits.Emojis)+" different reactions under one message")
	}
	if b.reactions == nil {
		b.reactions = map[store.ReactionKey]store.ReactionChange{}
	}
	b.reactions[key] = store.ReactionChange{ReactionKey: key, On: o.On, Time: b.now}
	n := *m
	n.Rev = b.bump(r, &chat.Event{Kind: chat.EventReacted, Seq: o.Seq, User: o.User, Emoji: o.Emoji, On: o.On})
	b.update(&n)
	return Reply{Seq: n.Seq, Rev: n.Rev, Time: b.now, Changed: true}, nil
}

// standing says whether the reaction is there now and which emoji are under
// the message: as stored, with the changes of this batch.
func (o *React) standing(b *batch, key store.ReactionKey) (on bool, kinds map[string]bool) {
	kinds = map[string]bool{}
	users := map[string]int{}
	for _, r := range b.state.Reactions[store.MessageRef{Room: o.Room, Seq: o.Seq}] {
		users[r.Emoji] = len(r.Users)
		for _, u := range r.Users {
			if r.Emoji == o.Emoji && u == o.User {
				on = true
			}
		}
	}
	for k, c := range b.reactions {
		if k.Room != o.Room || k.Seq != o.Seq {
			continue
		}
		if c.On {
			users[k.Emoji]++
		} else {
			users[k.Emoji]--
		}
		if k == key {
			on = c.On
		}
	}
	for e, n := range users {
		if n > 0 {
			kinds[e] = true
		}
	}
	return on, kinds
}
