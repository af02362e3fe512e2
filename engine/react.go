package engine

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (e *Engine) prepareReact(a *Actor, c *change.React) error {
	c.User, c.Server = a.User, a.Server
	if a.User == "" {
		return chat.E(chat.Invalid, "say as which user to react")
	}
	if err := e.checkReaction(c); err != nil {
		return err
	}
	return e.checkMessage(a, c.Room, c.Seq)
}

// checkReaction checks the emoji and gives it the spelling in which it is stored. A
// reaction of earlier versions, which may be in another one or no emoji at all, can
// be taken away as it is shown.
func (e *Engine) checkReaction(c *change.React) error {
	emoji, err := chat.CanonicalEmoji(c.Emoji, &e.cfg.Limits)
	switch {
	case err == nil && c.On:
		c.Emoji = emoji
	case !c.On:
		return chat.CheckReaction(c.Emoji, &e.cfg.Limits)
	}
	return err
}
