package store

import "testing"

func TestPrefixEnd(t *testing.T) {
	for prefix, want := range map[string]string{"": "", "a": "b", "team/": "team0", "\U0010ffff": "", "a\U0010ffff": "b", "\ud7ff": "\ue000"} {
		if got := (&RoomFilter{Prefix: prefix}).PrefixEnd(); got != want {
			t.Errorf("the end of %q is %q", prefix, got)
		}
	}
}

func TestFindingsAreBounded(t *testing.T) {
	var f Findings
	for range 2 * MaxFindings {
		f.Add("wrong")
	}
	if len(f) != MaxFindings+1 || f[MaxFindings] != "and more" {
		t.Errorf("%d findings, the last is %q", len(f), f[len(f)-1])
	}
}
