package testprocess

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// JSON runs a verb that has to work, and reads what it prints.
func (p *Program) JSON(t testing.TB, answer any, args ...string) {
	t.Helper()
	out, errs, err := p.Run(t.Context(), args...)
	if err == nil {
		err = json.Unmarshal([]byte(out), answer)
	}
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out, errs)
	}
}

// Move is slots that move, or have moved, from one shard to another.
type Move struct {
	Phase string `json:"phase"`
	Error string `json:"error"`
}

// Over reports whether nothing of it is left to do.
func (m Move) Over() bool { return m.Phase == "done" || m.Phase == "aborted" }

// Moves are those that the node with the data directory knows.
func (p *Program) Moves(t testing.TB, dir string) []Move {
	t.Helper()
	var answer struct {
		Moves []Move `json:"moves"`
	}
	p.JSON(t, &answer, "shards", "status", "--json", "--data-dir", dir)
	return answer.Moves
}

// AwaitMoves waits until nothing is moving, and returns how the last move ended, "none" if there was
// none.
func (p *Program) AwaitMoves(t testing.TB, dir string, patience time.Duration) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		moves := p.Moves(t, dir)
		if len(moves) == 0 {
			return "none"
		}
		last := moves[len(moves)-1]
		if !slices.ContainsFunc(moves, func(m Move) bool { return !m.Over() }) {
			return last.Phase
		}
		if time.Now().After(deadline) {
			t.Fatalf("the moves do not end: %+v", moves)
		}
		<-time.After(20 * time.Millisecond)
	}
}
