package store

import (
	"strings"

	"github.com/roomtide/roomtide/chat"
)

// JoinMentions is the stored form of chat.Message.Mentions: ids, of which none has a line
// break, with line breaks between them. nil is that of none.
func JoinMentions(ids []chat.UserID) any {
	if len(ids) == 0 {
		return nil
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	return strings.Join(texts, "\n")
}

// SplitMentions is the inverse of JoinMentions, with "" for none.
func SplitMentions(s string) []chat.UserID {
	if s == "" {
		return nil
	}
	var ids []chat.UserID
	for id := range strings.SplitSeq(s, "\n") {
		ids = append(ids, chat.UserID(id))
	}
	return ids
}
