package readme

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

const root = "../.."

// baseTools are what a bare Debian has, with git, make and curl: no Go.
var baseTools = []string{
	"awk", "bash", "cat", "chmod", "cp", "curl", "cut", "date", "dirname", "env", "find", "git", "grep", "gzip", "id", "install", "ls", "make",
	"mkdir", "mktemp", "mv", "rm", "sed", "sh", "sha256sum", "sleep", "sort", "tar", "tr", "true", "uname", "xargs",
}

// bareSystem returns a PATH with the base tools alone.
func bareSystem(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range baseTools {
		file, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(file, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// addProgram puts a shell script into a directory of PATH.
func addProgram(t *testing.T, dir, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// goArchive returns an archive like the official ones, whose Go is a shell script.
func goArchive(t *testing.T, script string) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	for _, name := range []string{"go/bin/go", "go/bin/gofmt"} {
		text := "#!/bin/sh\n" + strings.ReplaceAll(script, "PROGRAM", filepath.Base(name)) + "\n"
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// site serves the archive of any machine, and counts.
type site struct {
	*httptest.Server
	fetched atomic.Int32
}

func serveArchive(t *testing.T, archive []byte) *site {
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/dl/go1.") {
			http.NotFound(w, r)
			return
		}
		s.fetched.Add(1)
		_, _ = w.Write(archive) // the client may have gone
	}))
	t.Cleanup(s.Close)
	return s
}

// pin writes the checksum of an archive into a copy of the tree.
func pin(t *testing.T, tree string, archive []byte) {
	t.Helper()
	line := fmt.Sprintf("%x  go1.26.8.linux-%s.tar.gz\n", sha256.Sum256(archive), runtime.GOARCH)
	if err := os.WriteFile(filepath.Join(tree, "scripts/go.sha256"), []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
}

// scriptsTree is a copy of what "scripts/need go" uses.
func scriptsTree(t *testing.T) string {
	t.Helper()
	tree := t.TempDir()
	for _, name := range []string{"scripts/need", "scripts/go.sha256", "go.mod"} {
		copyFile(t, filepath.Join(root, name), filepath.Join(tree, name))
	}
	return tree
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	st, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, st.Mode().Perm()); err != nil {
		t.Fatal(err)
	}
}

// needGo runs "scripts/need go" with a PATH and the address of archives.
func needGo(t *testing.T, tree, path, url string) (out string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(tree, "scripts/need"), "go")
	cmd.Env = []string{"PATH=" + path, "HOME=" + t.TempDir(), "GO_DL_URL=" + url}
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// wantTools compares what is in .tools.
func wantTools(t *testing.T, tree, want string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(tree, ".tools"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != want {
		t.Errorf(".tools holds %q, want %q", got, want)
	}
}

const version = "echo go1.26.8"

func TestGoIsFetchedWhereThereIsNoneOrAnOldOne(t *testing.T) {
	archive := goArchive(t, version)
	for name, script := range map[string]string{
		"none":                   "",
		"older than go env":      "echo go: unknown command >&2; exit 2",
		"old":                    "echo go1.19.8",
		"newer toolchain absent": "echo 'go: download go1.26.0: no route to host' >&2; exit 1",
	} {
		t.Run(name, func(t *testing.T) {
			tree, path, archives := scriptsTree(t), bareSystem(t), serveArchive(t, archive)
			pin(t, tree, archive)
			if script != "" {
				addProgram(t, path, "go", script)
			}
			for range 2 { // the second time it is there
				if out, err := needGo(t, tree, path, archives.URL+"/dl"); err != nil {
					t.Fatal(err, out)
				}
			}
			wantTools(t, tree, "go")
			if n := archives.fetched.Load(); n != 1 {
				t.Errorf("the archive was fetched %d times", n)
			}
		})
	}
}

func TestNewEnoughGoIsUsed(t *testing.T) {
	for _, have := range []string{"go1.26.0", "go1.26rc1", "go1.31.2"} {
		tree, path, archives := scriptsTree(t), bareSystem(t), serveArchive(t, nil)
		addProgram(t, path, "go", "echo "+have)
		if out, err := needGo(t, tree, path, archives.URL+"/dl"); err != nil || out != "" {
			t.Error(have, err, out)
		}
		wantTools(t, tree, "")
		if archives.fetched.Load() != 0 {
			t.Errorf("%s is new enough, and another was fetched", have)
		}
	}
}

// The pinned checksums are those of the official archives, which this one is not.
func TestAnotherArchiveIsRefused(t *testing.T) {
	tree, path := scriptsTree(t), bareSystem(t)
	out, err := needGo(t, tree, path, serveArchive(t, goArchive(t, version)).URL+"/dl")
	if err == nil || !strings.Contains(out, "not the official archive") {
		t.Error(err, out)
	}
	wantTools(t, tree, "")
}

func TestAnArchiveThatCannotBeFetchedIsExplained(t *testing.T) {
	tree, path := scriptsTree(t), bareSystem(t)
	out, err := needGo(t, tree, path, serveArchive(t, nil).URL+"/elsewhere")
	if err == nil || !strings.Contains(out, "GO_DL_URL") {
		t.Error(err, out)
	}
	wantTools(t, tree, "")
}

// Both machines have one version, which compiles the module.
func TestPinnedGo(t *testing.T) {
	sums, err := os.ReadFile(filepath.Join(root, "scripts/go.sha256"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`^[0-9a-f]{64}  (go1\.26\.\d+)\.linux-amd64\.tar\.gz\n[0-9a-f]{64}  (go1\.26\.\d+)\.linux-arm64\.tar\.gz\n$`).FindSubmatch(sums)
	if m == nil || !bytes.Equal(m[1], m[2]) {
		t.Errorf("scripts/go.sha256: %s", sums)
	}
}
