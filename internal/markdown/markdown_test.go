package markdown

import (
	"slices"
	"testing"
)

func TestBlocks(t *testing.T) {
	got, err := parse("a\n```sh\nls\n\n  -l\n```\n1. b\n\n   ```php\n   <?php\n     x();\n   ```\n\n```\nplain\n```\n")
	want := []Block{{"sh", "ls\n\n  -l\n", 2}, {"php", "<?php\n  x();\n", 9}, {"", "plain\n", 14}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parse("```sh\nls\n"); err == nil {
		t.Error("a block without an end was read")
	}
}
