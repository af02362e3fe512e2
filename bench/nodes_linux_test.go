package bench

import (
	"os"
	"os/exec"
	"testing"
)

// The members of each room, and the senders, are spread evenly over the nodes.
func TestMembersAreSpread(t *testing.T) {
	s := Scenario{Rooms: 30, Members: 9, Senders: 30, Window: 1}
	l := newLoad(s, "a,b,c", "")
	rooms, senders := map[int]map[string]int{}, map[string]int{}
	for i := range l.members {
		room, node := i%s.Rooms, l.node(i)
		if rooms[room] == nil {
			rooms[room] = map[string]int{}
		}
		rooms[room][node]++
		if i < s.Senders {
			senders[node]++
		}
	}
	for room, nodes := range rooms {
		if nodes["a"] != 3 || nodes["b"] != 3 || nodes["c"] != 3 {
			t.Errorf("room %d has its members on %v", room, nodes)
		}
	}
	if senders["a"] != 10 || senders["b"] != 10 || senders["c"] != 10 {
		t.Errorf("senders are on %v", senders)
	}
}

// What several processes use is added up, and one that is gone is an error.
func TestUsageOfProcesses(t *testing.T) {
	self := os.Getpid()
	once, err := processes{self}.usage()
	if err != nil {
		t.Fatal(err)
	}
	twice, err := processes{self, self}.usage()
	if err != nil || twice.cpu() < 2*once.cpu() || twice.rss < once.rss*3/2 {
		t.Errorf("%+v is not twice %+v, %v", twice, once, err)
	}
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	gone := processes{self, cmd.Process.Pid}
	if _, err := gone.usage(); err == nil {
		t.Error("a process that has ended has used something")
	}
}
