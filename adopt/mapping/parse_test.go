package mapping

import (
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

// A mapping of several tables of messages says why there is none.
func TestSeveralMessages(t *testing.T) {
	_, err := Parse("adopt.toml", []byte("[[message]]\nfrom = \"a\"\n[[message]]\nfrom = \"b\"\n"))
	if chat.KindOf(err) != chat.Invalid || !strings.Contains(err.Error(), "one [message]") {
		t.Error(err)
	}
}
