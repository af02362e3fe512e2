package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// level is Level (level.go) of this source: the form of what its nodes write into databases and
// queues, and say to each other. A release that writes what the release before it does not
// read raises it by one. A node works together with nodes one level below and above, and
// goes on with data of lower levels; data of a higher level it refuses (store.Control).
const level = 1

const (
	clockWarned  = time.Second     // by which clocks may differ without a word
	clockRefused = 3 * time.Second // half of a lease in a cluster: beyond, nodes are taken for dead
)

// Hello is what a node tells of itself.
type Hello struct {
	Node     string `json:"node"`
	From     uint64 `json:"from"` // the process, a random number
	Version  string `json:"version"`
	Level    int    `json:"level"`
	TokenKey string `json:"token_key"`          // digest of the key that signs tokens
	WebPush  string `json:"web_push,omitempty"` // public half of the key of Web Push; empty: none is used, or the program is older
	Serving  bool   `json:"serving"`            // its start has passed the checks of all nodes that it met
	Visitor  bool   `json:"visitor"`            // it is no node, and only asks
	Time     int64  `json:"time"`               // by its clock, Unix microseconds
	Map      int64  `json:"map,omitempty"`      // version of the slot map that it goes by; 0 in a program that moves no slots in a cluster
	Shards   int    `json:"shards,omitempty"`   // that it has open

	ShardNames []string `json:"shard_names,omitempty"` // of these, by their numbers; none in a visitor and in an older program
}

// Peer is another node, as it was heard last.
type Peer struct {
	Hello
	Ahead time.Duration // of this node's clock, as far as the round trip tells
	Trip  time.Duration // that the answer has taken; 0: it was told by the other one, and Ahead is not known
	heard time.Time
}

// Apart is by how much the clocks differ for certain.
func (p *Peer) Apart() time.Duration {
	if p.Trip == 0 {
		return 0
	}
	return max(0, p.Ahead.Abs()-p.Trip/2)
}

// SameShards reports whether a shard has the same number in both nodes: one of them may have more,
// which were added behind those that both have.
func (h *Hello) SameShards(o *Hello) bool {
	n := min(len(h.ShardNames), len(o.ShardNames))
	return slices.Equal(h.ShardNames[:n], o.ShardNames[:n])
}

// clock says how the clock of a peer differs.
func (p *Peer) clock() string {
	way := "ahead of"
	if p.Ahead < 0 {
		way = "behind"
	}
	return fmt.Sprintf("the clock of node %s is %v %s that of this node", p.Node, p.Ahead.Abs().Round(10*time.Millisecond), way)
}

// NameTaken is why a node with the name of one that runs may not start.
func NameTaken(node string) error {
	return chat.E(chat.Conflict, "a node with the name "+node+" runs already: give every node a name of its own, with --node or the setting node")
}

// Admit returns why a node may not start beside the others, as an error that says what to
// do; nil: it may. Of nodes that start at the same time, the one whose From is lower goes
// first.
func Admit(self *Hello, peers []Peer) error {
	others := ""
	for i := range peers {
		p := &peers[i]
		if !p.Serving && p.From > self.From {
			continue
		}
		switch {
		case p.Node == self.Node:
			return NameTaken(self.Node)
		case p.Level > self.Level+1, p.Level < self.Level-1:
			return chat.E(chat.Invalid, fmt.Sprintf("node %s runs Roomtide %s (level %d), and this is Roomtide %s (level %d): versions that work together are at most one level apart; "+
				"upgrade in steps of one level, or stop all nodes first", p.Node, p.Version, p.Level, self.Version, self.Level))
		case p.Apart() > clockRefused:
			return chat.E(chat.Invalid, p.clock()+": let the machines of both take their time from the network (chrony, or timedatectl set-ntp true), and start again")
		case !p.SameShards(self):
			return chat.E(chat.Invalid, fmt.Sprintf("node %s has the shards %s, and this node %s: all nodes have the same in the same order, and new ones behind them. "+
				"Correct [[shards]], here or there, and start again. A shard that owns nothing is taken out while all nodes are stopped",
				p.Node, strings.Join(p.ShardNames, ", "), strings.Join(self.ShardNames, ", ")))
		case p.TokenKey != self.TokenKey:
			others += ", " + p.Node
		}
	}
	if others != "" {
		return chat.E(chat.Invalid, "the key for tokens of this node is another one than that of node "+strings.TrimPrefix(others, ", ")+
			": copy the file token.key from the data directory there to that of this node (mode 0600), or let token_key_file name a file with the same key on all nodes")
	}
	return nil
}

// OtherWebPush returns the names of those of the peers that have another key of Web Push than
// this node: what browsers have subscribed to here is worth nothing there.
func OtherWebPush(self *Hello, peers []Peer) (names []string) {
	for i := range peers {
		if p := &peers[i]; self.WebPush != "" && p.WebPush != "" && p.WebPush != self.WebPush {
			names = append(names, p.Node)
		}
	}
	return names
}

// lowest is the lowest level of this node and its peers.
func lowest(self *Hello, peers []Peer) int {
	levels := []int{self.Level}
	for i := range peers {
		levels = append(levels, peers[i].Level)
	}
	return slices.Min(levels)
}
