package chat

import (
	"fmt"
	"strings"
)

// madeKey begins the keys of MakeKey, and madeDigits is how many digits follow it.
const (
	madeKey    = "relay-"
	madeDigits = 16
)

// MakeKey returns the idempotency key of a message that a client has sent without one, and
// that may be handed to its lane more than once. It is stored, and never shown. from and
// n are a sender's own number and that of the message.
func MakeKey(from, n uint64) string { return fmt.Sprintf("%s%0*x-%x", madeKey, madeDigits, from, n) }

// IsMadeKey reports whether a key is one of MakeKey.
func IsMadeKey(key string) bool {
	rest, ok := strings.CutPrefix(key, madeKey)
	from, n, dash := strings.Cut(rest, "-")
	return ok && dash && len(from) == madeDigits && isHex(from) && isHex(n)
}

// isHex reports whether s has digits of MakeKey alone.
func isHex(s string) bool { return s != "" && strings.Trim(s, "0123456789abcdef") == "" }
