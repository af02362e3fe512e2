package readme

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/internal/markdown"
)

const (
	unit     = root + "/deploy/roomtide.service"
	template = root + "/deploy/roomtide@.service"
	witness  = root + "/deploy/roomtide-witness.service"
)

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// systemd finds nothing wrong with the units, and little that they would still allow. The
// program and the user of a unit, which are not on this machine, are replaced.
func TestUnitsAreSoundAndHardened(t *testing.T) {
	for name, source := range map[string]string{"roomtide.service": unit, "roomtide@a.service": template, "roomtide-witness.service": witness} {
		t.Run(name, func(t *testing.T) { sound(t, name, source) })
	}
}

func sound(t *testing.T, name, source string) {
	file := filepath.Join(t.TempDir(), name)
	text := strings.ReplaceAll(readFile(t, source), "/usr/local/bin/roomtide", roomtide.Path)
	text = regexp.MustCompile(`(?m)^(User|Group)=roomtide$`).ReplaceAllString(text, "$1=daemon")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", file).CombinedOutput()
	if err != nil {
		t.Errorf("the exposure of the unit is above 2.0: %v\n%s", err, out)
	}
}

// byLang is the blocks of a document, joined by kind. Where kinds are named, one that is
// not among them is an error: nothing reads it.
func byLang(t *testing.T, file string, read ...string) map[string]string {
	t.Helper()
	blocks, err := markdown.Blocks(root + file)
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for _, b := range blocks {
		if text[b.Lang] += b.Text; len(read) > 0 && !slices.Contains(read, b.Lang) {
			t.Errorf("line %d: a block of the kind %q, which nothing reads", b.Line, b.Lang)
		}
	}
	return text
}

// parses has bash read commands without running them.
func parses(t *testing.T, shell string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "bash", "-n", "-c", shell).CombinedOutput(); err != nil {
		t.Errorf("the commands: %v\n%s", err, out)
	}
}

// The unit starts the program that the document installs, with flags that it knows, on
// the directory that the document names; and the settings of the document are sound.
func TestOperationsFitTheUnit(t *testing.T) {
	blocks := byLang(t, "/docs/operations.md", "sh", "toml", "php") // TestPHPReadsRedis runs the last
	shell, settings := blocks["sh"], blocks["toml"]
	parses(t, shell)
	start := regexp.MustCompile(`(?m)^ExecStart=(\S+) serve --data-dir (\S+)$`).FindStringSubmatch(readFile(t, unit))
	if start == nil {
		t.Fatal("the unit has no ExecStart of the form: PROGRAM serve --data-dir DIR")
	}
	for _, want := range []string{
		"install -m 755 bin/roomtide " + start[1] + "\n",
		"install -m 644 deploy/roomtide.service /etc/systemd/system/roomtide.service\n",
		"--home-dir " + start[2] + " ", "--data-dir " + start[2] + "\n", "rm -r " + start[2] + " ",
	} {
		if !strings.Contains(shell, want) {
			t.Errorf("docs/operations.md has no command with %q", want)
		}
	}
	for line := range strings.Lines(shell) { // verbs that "sudo -u roomtide" runs
		if _, verb, ok := strings.Cut(line, " -u roomtide roomtide "); ok {
			help := append(strings.Fields(regexp.MustCompile(` [-"].*`).ReplaceAllString(strings.TrimSpace(verb), "")), "--help")
			if _, errs, err := roomtide.Run(t.Context(), help...); err != nil {
				t.Errorf("%q: %v %s", line, err, errs)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "roomtide.toml")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, err := roomtide.Run(t.Context(), "config", "check", "--config", file)
	if err != nil || strings.Contains(out+errs, "warning") {
		t.Errorf("the settings: %v\n%s%s", err, out, errs)
	}
}

// The units differ in what makes one of them a template, and in nothing else.
func TestUnitsAreAlike(t *testing.T) {
	own := regexp.MustCompile(`(?m)^(#.*|Description=.*|EnvironmentFile=.*|ExecStart=.*|StateDirectory=.*)\n`)
	if one, many := own.ReplaceAllString(readFile(t, unit), ""), own.ReplaceAllString(readFile(t, template), ""); one != many {
		t.Errorf("the template is\n%s\nthe unit is\n%s", many, one)
	}
}

// The template starts a node with the settings that the document prints, in the files that
// it names.
func TestDeploymentFitsTheTemplate(t *testing.T) {
	blocks := byLang(t, "/docs/deployment.md")
	shell, settings := blocks["sh"], blocks["toml"]
	parses(t, shell)
	text := readFile(t, template)
	start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/roomtide serve (.*)$`).FindStringSubmatch(text)
	for _, want := range []string{"install -m 644 deploy/roomtide@.service /etc/systemd/system/roomtide@.service\n", "/etc/roomtide/cluster.toml", "/etc/roomtide/a.env", "systemctl enable --now roomtide@a\n"} {
		if !strings.Contains(shell, want) {
			t.Errorf("docs/deployment.md has no command with %q", want)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"token.key", "nats.password"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("0f", 32)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inDir := strings.NewReplacer("/etc/roomtide", dir, "/var/lib/roomtide", filepath.Join(dir, "data"), "%i", "a")
	if err := os.WriteFile(filepath.Join(dir, "cluster.toml"), []byte(inDir.Replace(settings)), 0o600); err != nil {
		t.Fatal(err)
	}
	if start == nil {
		t.Fatal("the template has no ExecStart of the form: PROGRAM serve FLAGS")
	}
	// "config check" has the flags of serve, and starts nothing.
	out, errs, err := roomtide.Run(t.Context(), append([]string{"config", "check"}, strings.Fields(inDir.Replace(start[1]))...)...)
	if err != nil || strings.Contains(out+errs, "warning") {
		t.Errorf("the settings: %v\n%s%s", err, out, errs)
	}
}
