package lane

import (
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// Every kind of change has its rule, and the rule is of its type.
func TestEveryKindHasARule(t *testing.T) {
	limits := chat.DefaultLimits()
	for k := change.Kind(1); k < change.Kinds; k++ {
		if rules[k].need == nil || rules[k].apply == nil {
			t.Errorf("there is no rule for %s", k)
			continue
		}
		b := newBatch(1, 1, 0, newCache(), &limits)
		b.need(change.New(k))
		for id := range b.rooms {
			b.rooms[id] = &room{}
		}
		b.apply(change.New(k)) // panics if the rule is of another type
	}
}
