// Package planted sees to it that the fault run and the suites notice the mistakes of
// package internal/planted: each is built into the program, and the run has to fail for
// the reason that the mistake gives.
package planted

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// Every mistake is caught.
func TestMistakesAreCaught(t *testing.T) {
	crash := []string{"-run", "^TestCrashes$", "./test/crash", "-args", "-planted"}
	sqlite := []string{"-run", "^TestSuite$/^(Fencing|OnePositionOneCommit)$", "./store/sqlite"}
	for _, tt := range []struct {
		mistake string
		by      []string
		says    string
	}{
		{"ack-before-commit", crash, `lost-ack|duplicate-key|divergent|changing room\d/\d+:`}, // its number is given once more, or belongs to no message
		{"event-dropped", crash, `has room\d up to rev \d+, and gets the event of rev`},
		{"resume-doubled", crash, `asks room\d for what came after rev`},
		{"kick-unheard", crash, `was put out of room\d at rev`},
		{"kick-cached", crash, `was put out of room\d, and its message is taken`},
		{"fence-unchecked", sqlite, `FAIL: TestSuite/Fencing`},
		{"position-apart", sqlite, `FAIL: TestSuite/OnePositionOneCommit`},
	} {
		name := tt.mistake + " by " + tt.by[2]
		t.Run(strings.ReplaceAll(name, "./", ""), func(t *testing.T) {
			out, err := run(t, tt.mistake, tt.by)
			switch {
			case err == nil:
				t.Errorf("nothing is noticed\n%s", out)
			case !regexp.MustCompile(tt.says).MatchString(out):
				t.Errorf("the run fails, but not with %q:\n%s", tt.says, out)
			}
		})
	}
}

// run runs the tests of a package with a mistake.
func run(t *testing.T, mistake string, by []string) (string, error) {
	t.Helper()
	args := append([]string{"test", "-count=1", "-tags", "planted", "-timeout", "4m"}, by...)
	if by[len(by)-1] == "-planted" {
		args = append(args, mistake)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = filepath.Join("..", ".."), append(os.Environ(), "ROOMTIDE_PLANTED="+mistake)
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "[build failed]") {
		t.Fatalf("%s", out)
	}
	return string(out), err
}

// The program as it is released knows nothing of mistakes.
func TestReleaseHasNoMistakes(t *testing.T) {
	for _, tt := range []struct {
		tags string
		has  bool
	}{{"", false}, {"planted", true}} {
		p, err := testprocess.Build(tt.tags)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(p.Path)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"ROOMTIDE_PLANTED", "ack-before-commit", "advanceApart"} {
			if has := strings.Contains(string(b), text); has != tt.has {
				t.Errorf("built with the tags %q: it has %q: %v", tt.tags, text, has)
			}
		}
		if err := p.Remove(); err != nil {
			t.Error(err)
		}
	}
}
