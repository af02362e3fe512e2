package samples

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testprocess"
)

const (
	android = "../../examples/push-android/app/src/main"
	ios     = "../../examples/push-ios/Chat"

	limit = 10 * time.Minute // compilers are slow beside other tests
)

// packages are what npm has of compilers and parsers.
var packages = []string{"kotlin-compiler@2.4.20", "tree-sitter@0.22.4", "tree-sitter-swift@0.7.1"}

// installed is where the packages are.
var installed string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if installed, err = os.MkdirTemp("", "roomtide-samples-"); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(installed)) }()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := testprocess.InstallNPM(ctx, installed, packages...); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func command(t *testing.T, name string, args ...string) (out string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	raw, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(raw), err
}

// kotlin compiles a directory. Below android is what the app uses of the classes of Android,
// AndroidX and Firebase, with which arguments are null, as they are declared there.
func kotlin(t *testing.T, dir string) (out string, err error) {
	t.Helper()
	lib := filepath.Join(installed, "node_modules", "kotlin-compiler", "lib")
	return command(t, "java", "-cp", filepath.Join(lib, "kotlin-preloader.jar"), "org.jetbrains.kotlin.preloading.Preloader",
		"-cp", filepath.Join(lib, "kotlin-compiler.jar"), "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
		"-Werror", "-no-reflect", "-jvm-target", "17", "-d", t.TempDir(), "android", dir)
}

// The app for Android compiles, without a warning.
func TestAndroidCompiles(t *testing.T) {
	t.Parallel()
	if out, err := kotlin(t, android+"/kotlin"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// What the app must not do with Android's classes does not compile.
func TestAndroidIsChecked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "Bad.kt"), `package org.example.chat
fun title(m: com.google.firebase.messaging.RemoteMessage) = m.notification.title
`)
	if out, err := kotlin(t, dir); err == nil || !strings.Contains(out, "Bad.kt:2:") || !strings.Contains(out, "nullable receiver") {
		t.Errorf("a notification that may be null is read: %v\n%s", err, out)
	}
}

// The manifest has the classes of the app, what Firebase starts the service by, and the
// permissions for what the code does.
func TestAndroidManifest(t *testing.T) {
	raw := read(t, android+"/AndroidManifest.xml")
	type named struct {
		Name   string `xml:"http://schemas.android.com/apk/res/android name,attr"`
		Action struct {
			Name string `xml:"http://schemas.android.com/apk/res/android name,attr"`
		} `xml:"intent-filter>action"`
	}
	var manifest struct {
		Permissions []named `xml:"uses-permission"`
		Activities  []named `xml:"application>activity"`
		Services    []named `xml:"application>service"`
	}
	if err := xml.Unmarshal([]byte(raw), &manifest); err != nil {
		t.Fatal(err)
	}
	permissions := ""
	for _, p := range manifest.Permissions {
		permissions += p.Name + " "
	}
	if permissions != "android.permission.INTERNET android.permission.POST_NOTIFICATIONS " {
		t.Error(permissions)
	}
	if len(manifest.Activities) != 1 || len(manifest.Services) != 1 || manifest.Services[0].Action.Name != "com.google.firebase.MESSAGING_EVENT" {
		t.Fatalf("%+v", manifest)
	}
	for _, c := range append(manifest.Activities, manifest.Services...) {
		name := strings.TrimPrefix(c.Name, ".")
		if file := read(t, android+"/kotlin/org/example/chat/"+name+".kt"); !strings.Contains(file, "\nclass "+name+" : ") {
			t.Errorf("there is no class %s", name)
		}
	}
}

// The app for iOS is Swift, as far as its grammar knows; a file with a brace missing is not.
func TestSwiftParses(t *testing.T) {
	files, err := filepath.Glob(ios + "/*.swift")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	parse := func(files ...string) (string, error) {
		return command(t, "node", append([]string{"swift.mjs", installed}, files...)...)
	}
	if out, err := parse(files...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, file := range files {
		text := read(t, file)
		bad := filepath.Join(t.TempDir(), filepath.Base(file))
		write(t, bad, text[:strings.LastIndex(text, "}")])
		if out, err := parse(bad); err == nil || !strings.Contains(out, filepath.Base(file)) {
			t.Errorf("%s without its last brace is parsed: %v %s", file, err, out)
		}
	}
}

// Property lists, and every other file of XML, are well-formed.
func TestXML(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("../../examples", func(path string, _ fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err != nil || ext != ".xml" && ext != ".entitlements" {
			return err
		}
		seen++
		d := xml.NewDecoder(strings.NewReader(read(t, path)))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				t.Errorf("%s: %v", path, err)
				return nil
			}
		}
	})
	if err != nil || seen < 2 {
		t.Errorf("%d files, %v", seen, err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
