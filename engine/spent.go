package engine

import (
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/limit"
)

// sharesInBurst is how many times other nodes are told while a burst is spent. More are
// more exact, and more to tell.
const sharesInBurst = 16

// sharedRate is a rate that all nodes hold together, its keys as text.
type sharedRate struct {
	name   string
	spent  func(tell func(key string, tokens int))
	charge func(key string, tokens int)
}

func shared[K comparable](name string, r *limit.Rates[K], text func(K) string, parse func(string) (K, error)) sharedRate {
	return sharedRate{
		name:  name,
		spent: func(tell func(string, int)) { r.Spent(func(key K, n int) { tell(text(key), n) }) },
		charge: func(key string, n int) {
			if k, err := parse(key); err == nil { // else it is nothing that a node has told
				r.Charge(k, n)
			}
		},
	}
}

func userText(u chat.UserID) string           { return string(u) }
func userOf(text string) (chat.UserID, error) { return chat.UserID(text), nil }
func roomText(room chat.RoomID) string        { return string(room) }
func roomOf(text string) (chat.RoomID, error) { return chat.RoomID(text), nil }

// Spent returns what was spent of the rates here since the last call, for Charge of the
// engines of all other nodes. It is empty unless Config.Cluster is set.
func (e *Engine) Spent() limit.Spent {
	all := limit.Spent{}
	for _, s := range e.rates.shared {
		s.spent(func(key string, n int) {
			if all[s.name] == nil {
				all[s.name] = map[string]int{}
			}
			all[s.name][key] = n
		})
	}
	return all
}

// Charge takes from the rates what was spent on another node. Rates that this one does not
// know are passed over.
func (e *Engine) Charge(spent limit.Spent) {
	for _, s := range e.rates.shared {
		for key, n := range spent[s.name] {
			s.charge(key, n)
		}
	}
}
