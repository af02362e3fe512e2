package lane

import (
	"slices"
	"strings"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/store"
)

// Whether a user is connected anywhere is decided by the lane of the user: once, however many
// nodes there are.

func (b *batch) needConnected(c *change.Connected) {
	b.want.UserNodes = append(b.want.UserNodes, c.User)
}

func (b *batch) applyConnected(c *change.Connected) (change.Reply, error) {
	stored, ok := b.state.UserNodes[c.User]
	stored.User = c.User
	row, was := b.nodes.one(stored, ok)
	var nodes []string
	if was {
		nodes = strings.Split(row.Nodes, "\n")
	}
	at, there := slices.BinarySearch(nodes, c.Node)
	switch {
	case there == c.On:
		return change.Reply{}, nil
	case c.On:
		nodes = slices.Insert(nodes, at, c.Node)
	default:
		nodes = slices.Delete(nodes, at, at+1)
	}
	row = store.UserNodes{User: c.User, Nodes: strings.Join(nodes, "\n")}
	switch {
	case len(nodes) == 0:
		b.nodes.drop(&row)
		b.facts = append(b.facts, store.UserFact{Kind: store.FactOffline, User: c.User})
	case !was:
		b.facts = append(b.facts, store.UserFact{Kind: store.FactOnline, User: c.User})
		fallthrough
	default:
		b.nodes.put(row)
	}
	return change.Reply{Changed: true}, nil
}
