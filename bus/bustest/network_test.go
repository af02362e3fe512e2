package bustest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/bustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		bustest.Run(t, func(*testing.T) []bus.Bus { return bustest.NewNetwork(nodes).Buses() })
	}
}

func TestLose(t *testing.T) {
	n := bustest.NewNetwork(1)
	node := n.Node(0)
	defer node.Close()
	got := make(chan int64, 10)
	node.Listen(func(b *bus.Batch) { got <- b.Position })
	if err := node.Subscribe(0); err != nil {
		t.Fatal(err)
	}
	n.Lose(2)
	for position := range int64(3) {
		if err := node.Publish(&bus.Batch{After: position, Position: position + 1}); err != nil {
			t.Fatal(err)
		}
	}
	if position := <-got; position != 3 || n.Lost() != 2 {
		t.Errorf("position %d came, %d batches were lost", position, n.Lost())
	}
}
