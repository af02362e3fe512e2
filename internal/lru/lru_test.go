package lru

import (
	"testing"

	"pgregory.net/rapid"
)

func TestKeepsTheMostRecent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		max := rapid.IntRange(1, 8).Draw(t, "max")
		m := New[int, int](max)
		value := map[int]int{}
		gone := map[int]bool{}
		var used []int // most recent last, without repeats
		use := func(k int) {
			for i, u := range used {
				if u == k {
					used = append(used[:i], used[i+1:]...)
					break
				}
			}
			used = append(used, k)
		}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			k := rapid.IntRange(0, 20).Draw(t, "key")
			if rapid.IntRange(0, 9).Draw(t, "delete") == 0 {
				m.Delete(k)
				if _, ok := m.Get(k); ok {
					t.Fatalf("key %d was deleted and is there", k)
				}
				gone[k] = true
				continue
			}
			if rapid.Bool().Draw(t, "put") {
				value[k]++
				gone[k] = false
				m.Put(k, value[k])
				use(k)
			} else if v, ok := m.Get(k); ok {
				if v != value[k] {
					t.Fatalf("key %d: got %d, want %d", k, v, value[k])
				}
				use(k)
			}
			if m.Len() > 2*max {
				t.Fatalf("%d entries with max %d", m.Len(), max)
			}
		}
		for i := len(used) - 1; i >= 0 && i >= len(used)-max; i-- {
			if v, ok := m.Get(used[i]); ok == gone[used[i]] || ok && v != value[used[i]] {
				t.Fatalf("key %d was used lately and is gone", used[i])
			}
		}
	})
}
