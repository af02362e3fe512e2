package proxies

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/markdown"
	"github.com/roomtide/roomtide/internal/testprocess"
)

const document = "../../docs/proxies.md"

// samples returns the two samples of a proxy: a host of its own, and a path of a site.
func samples(t *testing.T, lang string) (host, path string) {
	t.Helper()
	blocks, err := markdown.Blocks(document)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, b := range blocks {
		if b.Lang == lang {
			found = append(found, b.Text)
		}
	}
	if len(found) != 2 {
		t.Fatalf("%s has %d samples for %s", document, len(found), lang)
	}
	return found[0], found[1]
}

// proxy is how one of the programs is started with a sample. config returns its
// configuration file for the address that it listens on.
type proxy struct {
	lang   string
	config func(dir, listen, sample string) string
	start  func(file string) []string
}

var proxies = []proxy{
	{"nginx", func(dir, listen, sample string) string {
		return fmt.Sprintf(`daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
    gzip on;
    gzip_types text/event-stream;
    server {
        listen %[2]s;
%[3]s    }
}
`, dir, listen, sample)
	}, func(file string) []string {
		return []string{"nginx", "-c", file, "-p", filepath.Dir(file), "-e", "stderr"}
	}},

	{"apache", func(dir, listen, sample string) string {
		owner := ""
		if os.Getuid() == 0 { // it does not serve as root
			owner = "User nobody\nGroup nogroup\n"
		}
		modules := ""
		for _, name := range []string{"mpm_event", "authz_core", "alias", "proxy", "proxy_http"} {
			modules += fmt.Sprintf("LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", name, name)
		}
		return modules + owner + fmt.Sprintf(`ServerName localhost
ServerRoot %[1]s
DefaultRuntimeDir %[1]s
PidFile %[1]s/pid
ErrorLog /dev/stderr
StartServers 1
Listen %[2]s
<VirtualHost %[2]s>
%[3]s</VirtualHost>
`, dir, listen, sample)
	}, func(file string) []string { return []string{"apache2", "-f", file, "-DFOREGROUND"} }},

	{"caddy", func(dir, listen, sample string) string {
		for _, name := range []string{"chat.example.org", "www.example.org"} {
			sample = strings.ReplaceAll(sample, name, "http://"+listen)
		}
		return "{\n\tadmin off\n\tauto_https off\n\tdefault_bind " + host(listen) + "\n}\n" + sample
	}, func(file string) []string {
		return []string{"caddy", "run", "--adapter", "caddyfile", "--config", file}
	}},

	{"haproxy", func(dir, listen, sample string) string {
		return strings.ReplaceAll(sample, "bind :443 ssl crt /etc/haproxy/site.pem", "bind "+listen)
	}, func(file string) []string { return []string{"haproxy", "-db", "-f", file} }},
}

func host(addr string) string {
	h, _, _ := net.SplitHostPort(addr)
	return h
}

// run starts the proxy with a sample in front of the upstream address, waits until it
// listens, and returns its address. It ends with the test.
func (p proxy) run(t *testing.T, sample, upstream string) (listen string) {
	t.Helper()
	if !strings.Contains(sample, "127.0.0.1:8080") {
		t.Fatalf("the sample for %s does not name 127.0.0.1:8080", p.lang)
	}
	listen = testprocess.FreeAddr(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // Apache's processes are not the test's user
		t.Fatal(err)
	}
	file := filepath.Join(dir, p.lang+".conf")
	text := p.config(dir, listen, strings.ReplaceAll(sample, "127.0.0.1:8080", upstream))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	args := p.start(file)
	cmd := exec.Command(program(t, args[0]), args[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the test ends it by signal
		close(ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with its children; it may have ended
		<-ended
		if t.Failed() {
			t.Logf("%s wrote:\n%s", p.lang, out.String())
		}
	})
	deadline := time.After(20 * time.Second)
	for {
		if c, err := net.Dial("tcp", listen); err == nil {
			c.Close()
			return listen
		}
		select {
		case <-ended:
			t.Fatalf("%s has ended:\n%s", p.lang, out.String())
		case <-deadline:
			t.Fatalf("%s does not listen", p.lang)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// program finds a server, which may not be in the PATH of ordinary users.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, file := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if file, err := exec.LookPath(file); err == nil {
			return file
		}
	}
	t.Fatalf("%s is not installed; scripts/need installs it", name)
	return ""
}
