package notify

import (
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// mentioned are the users whom messages mention, each once, in order.
func mentioned(messages []chat.Message) (users []chat.UserID) {
	for i := range messages {
		users = append(users, messages[i].Mentions...)
	}
	slices.Sort(users)
	return slices.Compact(users)
}
