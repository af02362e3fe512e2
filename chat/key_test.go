package chat

import "testing"

func TestMadeKeys(t *testing.T) {
	limits := DefaultLimits()
	for _, n := range []uint64{0, 1, 1<<64 - 1} {
		for _, from := range []uint64{0, 7, 1<<64 - 1} {
			if key := MakeKey(from, n); !IsMadeKey(key) || CheckKey(key, &limits) != nil {
				t.Errorf("%q is none", key)
			}
		}
	}
	for _, key := range []string{
		"", "relay-", "relay-1-2", "relay-0123456789abcdef", "relay-0123456789abcdef-", "relay-0123456789abcdef-x", "relay-0123456789abcdeF-1",
		"0123456789abcdef-1", "xrelay-0123456789abcdef-1", "relay-0123456789abcdef-1-2", "01890a5d-ac96-774b-bcce-b302099a8057",
	} {
		if IsMadeKey(key) {
			t.Errorf("%q is one", key)
		}
	}
}
