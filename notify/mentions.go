package notify

import "github.com/roomtide/roomtide/chat"

// mentions reports whether the message mentions the user.
func mentions(*chat.Message, chat.UserID) bool { return false }

// mentioned are the users whom messages mention.
func mentioned([]chat.Message) []chat.UserID { return nil }
