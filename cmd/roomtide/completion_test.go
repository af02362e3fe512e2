package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completions are command lines, the cursor at their end, and what a shell offers
// there: everything of has and nothing of not.
var completions = []struct {
	line     string
	has, not string
}{
	{"roomtide ", "serve token key config send tail doctor completion help", "--help add"},
	{"roomtide se", "serve send", "tail"},
	{"roomtide --v", "--version", "--help serve"},
	{"roomtide key ", "add list revoke", "serve"},
	{"roomtide key add --sc", "--scope", "--name"},
	{"roomtide key --config add add --", "--scope --data-dir --help", "list --url"}, // the value of a flag is no verb
	{"roomtide token --us", "--user", ""},                                           // of the verb that token stands for
	{"roomtide token --user key --", "--room --ttl", "--scope"},
	{"roomtide serve --guests ", "auto on off", "serve --guests"},
	{"roomtide serve --guests=o", "on off", "auto"},
	{"roomtide serve --log-level w", "warn", "info"},
	{"roomtide serve --log-level=debug --log-f", "--log-format", "--log-level"},
	{"roomtide bench fan", "fanout fanout5k", "rooms"},
	{"roomtide bench rooms --proto ", "native socketio", ""},
	{"roomtide doctor --url x --js", "--json", "--url"},
	{"roomtide tail --kinds t", "typing", "message"},
	{"roomtide completion ", "bash zsh fish", "serve"},
	{"roomtide help key ", "add list", "serve"},
	{"roomtide serve --tls-cert some", "some.pem some-dir", "other"},
	{"roomtide serve --data-dir some", "some-dir", "some.pem"},
	{"roomtide serve --listen ", "", "serve some.pem"},
}

func TestCompletionInBash(t *testing.T) {
	testCompletion(t, "bash", `
		source "$1"
		# bash itself makes words at spaces, and of = a word of its own
		IFS=' ' read -r -a COMP_WORDS <<<"${2//=/ = }"
		[[ $2 == *' ' ]] && COMP_WORDS+=('')
		COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
		_roomtide
		printf '%s\n' "${COMPREPLY[@]}"`)
}

// Its builtin functions of completion work in an editor only: these take their place.
func TestCompletionInZsh(t *testing.T) {
	testCompletion(t, "zsh", `
		compadd() { shift; print -rl -- ${(M)@:#$PREFIX*} }
		_describe() { print -rl -- ${(M)${reply%%:*}:#$PREFIX*} }
		compset() { PREFIX=${PREFIX#*=} }
		_files() { if [[ $1 == -/ ]]; then print -rl -- $PREFIX*(N/); else print -rl -- $PREFIX*(N); fi }
		source "$1"
		words=( "${(@s: :)2}" ) CURRENT=$#words PREFIX=$words[-1]
		_roomtide`)
}

func TestCompletionInFish(t *testing.T) {
	testCompletion(t, "fish", `source $argv[1]; complete -C $argv[2] | string replace -r '\t.*' '' | string replace -r '^--[a-z-]*=' ''; true`)
}

// testCompletion runs the script of a shell in that shell. Only bash is needed: the
// text of the others is the same tables.
func testCompletion(t *testing.T, shell, driver string) {
	t.Parallel()
	script := must(t, "completion", shell)
	for _, text := range []string{"key add", "--tls-cert", "auto on off", "bash zsh fish"} {
		if !strings.Contains(script, text) {
			t.Errorf("the script has no %q", text)
		}
	}
	path, err := exec.LookPath(shell)
	if err != nil {
		if shell == "bash" {
			t.Fatal(err)
		}
		return
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "script")
	for name, text := range map[string]string{"script": script, "some.pem": "", "other": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "some-dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range completions {
		args := []string{"-c", driver, shell, file, c.line}
		if shell == "fish" { // takes no name for the script
			args = slices.Delete(args, 2, 3)
		}
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v: %s", c.line, err, out)
			continue
		}
		offered := strings.Fields(strings.ReplaceAll(string(out), "/", ""))
		for _, word := range strings.Fields(c.has) {
			if !slices.Contains(offered, word) {
				t.Errorf("%q offers no %q: %q", c.line, word, offered)
			}
		}
		for _, word := range strings.Fields(c.not) {
			if slices.Contains(offered, word) {
				t.Errorf("%q offers %q: %q", c.line, word, offered)
			}
		}
	}
}
