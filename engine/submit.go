package engine

import (
	"context"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// Submit checks the change, stamps it with the actor and hands it to its lane. It
// never blocks. done receives the outcome, or Unavailable when Config.Patience has ended:
// then the change may still happen. A message that was accepted (change.Send.Accepted) has
// its outcome whenever it comes. A change that is refused here is
// refused in the calling goroutine, before Submit returns.
//
// The caller fills in what the client's request says (see package change); what
// it fills in beyond that is overwritten. A change belongs to the engine from
// here until done runs.
//
// Users make the changes that prepare knows, but for SetUser, which is for the host's
// back end. Joining and reading are more than one step: Join, Read.
func (e *Engine) Submit(a Actor, c change.Change, done change.Done) {
	if err := e.prepare(&a, c); err != nil {
		done(change.Reply{}, err)
		return
	}
	e.hand(c, e.answered(c, done))
}

// Do is Submit and wait. If ctx ends first, or patience, the error is Unavailable and
// the change may still happen. Do fills in names from profiles, which Submit does not
// wait for. When Do has put a member in or out, the user's rooms
// say so already; behind Submit they do a moment later.
func (e *Engine) Do(ctx context.Context, a Actor, c change.Change) (change.Reply, error) {
	if err := e.prepare(&a, c); err != nil {
		return change.Reply{}, err
	}
	return within(ctx, e, func(ctx context.Context) (change.Reply, error) { return e.do(ctx, c) })
}

// do makes a change that was prepared.
func (e *Engine) do(ctx context.Context, c change.Change) (change.Reply, error) {
	e.stampNames(ctx, c)
	r, err := e.handAndWait(ctx, c)
	switch {
	case err != nil:
	case c.Kind() == change.KindSetUser:
		e.profiles.put(&r.User, e.cfg.Now())
		e.cfg.UserChanged(r.User.ID, false)
	case c.Kind() == change.KindSetMember && r.Changed:
		e.project(ctx, &r)
		if m := c.(*change.SetMember); m.Name == nil && m.Role.Present() {
			e.recheckNames(ctx, &r.Member, m.Known, m.Avatar)
		}
	}
	return r, err
}

// prepare checks what can be checked without the lane, and fills in what is not
// the client's to say.
func (e *Engine) prepare(a *Actor, c change.Change) error {
	switch c := c.(type) {
	case *change.Send:
		return e.prepareSend(a, c)
	case *change.Edit:
		return e.prepareEdit(a, c)
	case *change.Delete:
		return e.prepareDelete(a, c)
	case *change.React:
		return e.prepareReact(a, c)
	case *change.Leave:
		return e.prepareLeave(a, c)
	case *change.SetMember:
		return e.prepareSetMember(a, c)
	case *change.SetRoom:
		return e.prepareSetRoom(a, c)
	case *change.SetUser:
		return e.prepareSetUser(a, c)
	case *change.DeleteRoom:
		return e.prepareDeleteRoom(a, c)
	}
	return chat.E(chat.Forbidden, "users do not make this change")
}

// ChangeReply answers a Send, Edit, Delete or React.
func ChangeReply(room chat.RoomID, r *change.Reply) wire.ChangeReply {
	return wire.ChangeReply{Room: room, Seq: r.Seq, Rev: r.Rev, Time: r.Time}
}
