package deploy

import (
	"bufio"
	"bytes"
	"debug/elf"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// instruction is a line of a Dockerfile.
type instruction struct{ name, args string }

// stages returns the instructions of each stage; those before the first are in front.
func stages(t *testing.T) (all [][]instruction) {
	t.Helper()
	all = append(all, nil)
	text := strings.ReplaceAll(readFile(t, "Dockerfile"), "\\\n", "")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, args, ok := strings.Cut(line, " ")
		if !ok || name != strings.ToUpper(name) {
			t.Fatalf("Dockerfile: %q is no instruction", line)
		}
		if name == "FROM" {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], instruction{name, args})
	}
	return all
}

// value returns the arguments of an instruction that a stage has once.
func value(t *testing.T, stage []instruction, name string) (args string) {
	t.Helper()
	for _, i := range stage {
		if i.name == name {
			if args != "" {
				t.Errorf("Dockerfile: %s stands twice", name)
			}
			args = i.args
		}
	}
	return args
}

// The image has a user of its own, no shell, and nothing that was fetched by an address.
func TestDockerfile(t *testing.T) {
	all := stages(t)
	if len(all) != 3 || all[1][0].args != "${GO_IMAGE} AS build" || all[2][0].args != "scratch" {
		t.Fatalf("Dockerfile has the stages %v", all)
	}
	last := all[2]
	for name, want := range map[string]string{
		"USER": "65532:65532", "ENTRYPOINT": `["/roomtide"]`, "CMD": `["serve"]`, "STOPSIGNAL": "SIGTERM", "EXPOSE": "8080",
		"ENV": "ROOMTIDE_DATA_DIR=/var/lib/roomtide ROOMTIDE_LISTEN=0.0.0.0:8080",
	} {
		if got := value(t, last, name); got != want {
			t.Errorf("Dockerfile: %s %s, want %s", name, got, want)
		}
	}
	for _, stage := range all {
		for _, i := range stage {
			if i.name == "ADD" || strings.Contains(i.args, "curl ") || strings.Contains(i.args, "wget ") {
				t.Errorf("Dockerfile fetches something: %s %s", i.name, i.args)
			}
		}
	}
}

// buildContext copies what a build gets: all files but those that .dockerignore leaves out.
func buildContext(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	args := []string{"-C", root, "-cf", "-", "--exclude=./roomtide"}
	lines := bufio.NewScanner(strings.NewReader(readFile(t, ".dockerignore")))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if pattern, deep := strings.CutPrefix(line, "**/"); deep {
			args = append(args, "--exclude="+pattern)
		} else if line != "" && !strings.HasPrefix(line, "#") {
			args = append(args, "--exclude=./"+line)
		}
	}
	pack, unpack := exec.CommandContext(t.Context(), "tar", append(args, ".")...), exec.CommandContext(t.Context(), "tar", "-C", dir, "-xf", "-")
	var packed, unpacked bytes.Buffer // what each says of its errors
	pack.Stderr, unpack.Stderr = &packed, &unpacked
	var err error
	if unpack.Stdin, err = pack.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := pack.Start(); err != nil {
		t.Fatal(err)
	}
	if err := unpack.Run(); err != nil {
		t.Fatal(err, unpacked.String())
	}
	if err := pack.Wait(); err != nil {
		t.Fatal(err, packed.String())
	}
	return dir
}

// The steps of the build do their work on what .dockerignore leaves, and the program
// serves where there is no file but it and its directory, as a user without rights.
func TestImage(t *testing.T) {
	src, image := buildContext(t), t.TempDir()
	for _, i := range stages(t)[1] {
		if i.name != "RUN" {
			continue
		}
		words := strings.Fields(i.args)
		for strings.HasPrefix(words[0], "--mount=type=cache") {
			words = words[1:]
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(strings.Join(words, " "), " /data", " "+image+"/data"))
		cmd.Dir, cmd.Env = src, append(os.Environ(), "VERSION=v0-image", "GOTOOLCHAIN=local")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("RUN %s: %v\n%s", i.args, err, out)
		}
	}
	binary := filepath.Join(src, "bin/roomtide")
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program is not static: %v", p.Type)
		}
	}
	if out, err := exec.CommandContext(t.Context(), binary, "version").Output(); err != nil || !strings.Contains(string(out), "v0-image") {
		t.Errorf("version: %s %v", out, err)
	}
	if err := os.Rename(binary, filepath.Join(image, "roomtide")); err != nil {
		t.Fatal(err)
	}
	serveAlone(t, image)
}

// serveAlone starts a node whose root directory is dir. Where the test is not root it
// stays in the whole file system.
func serveAlone(t *testing.T, dir string) {
	t.Helper()
	addr := testprocess.FreeAddr(t)
	cmd := exec.Command("/roomtide", "serve", "--insecure-http")
	cmd.Env = []string{"ROOMTIDE_DATA_DIR=/data", "ROOMTIDE_LISTEN=" + addr, "ROOMTIDE_GUESTS=off"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	if os.Getuid() != 0 {
		cmd.Path, cmd.Env[0], cmd.SysProcAttr = filepath.Join(dir, "roomtide"), "ROOMTIDE_DATA_DIR="+dir+"/data", nil
	} else if err := os.Chown(filepath.Join(dir, "data"), 65532, 65532); err != nil {
		t.Fatal(err)
	} else if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext}}
	for deadline := time.After(20 * time.Second); ; {
		if resp, err := client.Get("http://" + addr + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		select {
		case err := <-ended:
			t.Fatalf("the node has ended: %v\n%s", err, out.String())
		case <-deadline:
			_ = cmd.Process.Kill() // it may have ended
			t.Fatalf("the node is not ready; %v\n%s", <-ended, out.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil || strings.Contains(out.String(), "UNSAFE: the data dir") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
