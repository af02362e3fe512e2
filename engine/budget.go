package engine

import (
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/limit"
)

// Budget returns how many durable changes the user may make now; false without such a
// limit.
func (e *Engine) Budget(user chat.UserID) (limit.Budget, bool) { return e.rates.user.Budget(user) }

// PageChanges is how many changes an answer to Changes holds at most.
const PageChanges = resumePage
