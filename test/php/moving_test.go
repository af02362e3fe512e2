package php

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/roomtide/roomtide/internal/markdown"
	"github.com/roomtide/roomtide/internal/mysqldsn"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// A chat of a page that polls moves in as docs/php-chat.md says: the old page and the new one
// are open, messages cross in both directions, and it goes over and back.
func TestMovingIn(t *testing.T) {
	for _, file := range []string{"php-chat.md", "php-chat.zh-CN.md"} {
		if mapping := mappingOf(t, file); mapping != mappingOf(t, "php-chat.md") {
			t.Errorf("the mapping of %s is another one:\n%s", file, mapping)
		}
	}
	pages := testprocess.FreeAddr(t)
	s := newSite(t, "--origins", "http://"+pages)
	m := newMoving(t, s, pages)
	run := testprocess.Spawn(t, m.verb("run"))

	ann, ben := m.window("/", "Ann"), m.window("/new.php", "Ben")
	ann.shows("Ben: And the second")
	ben.shows("Ben: And the second")
	ann.do(chromedp.SendKeys("#say input", "the old way\r"))
	ben.shows("Ann: the old way")
	ben.do(chromedp.SendKeys("#say input", "the new way\r"))
	ann.shows("Ben: the new way")
	for _, verb := range []string{"compare", "compare", "switch"} {
		m.must(verb)
	}
	ann.do(chromedp.SendKeys("#say input", "late\r"))
	ben.shows("Ann: late")
	m.must("back")
	ben.do(chromedp.SendKeys("#say input", "back again\r"))
	ann.shows("Ben: back again")
	m.must("switch")
	m.must("finish", "--yes")
	<-run.Ended()
}

// mappingOf is the mapping that a document prints.
func mappingOf(t *testing.T, file string) string {
	t.Helper()
	blocks, err := markdown.Blocks("../../docs/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		if b.Lang == "toml" {
			return b.Text
		}
	}
	t.Fatalf("%s prints no mapping", file)
	return ""
}

// moving is the old chat's pages and its move.
type moving struct {
	t          *testing.T
	site       *site
	dir, pages string
}

func newMoving(t *testing.T, s *site, pages string) *moving {
	t.Helper()
	m := &moving{t: t, site: s, dir: t.TempDir(), pages: pages}
	if err := os.CopyFS(m.dir, os.DirFS("../../examples/php-chat")); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(testdb.MariaDB(t))
	if err != nil {
		t.Fatal(err)
	}
	m.schema(u)
	key, err := os.ReadFile(filepath.Join(s.dir, "token.key"))
	if err != nil {
		t.Fatal(err)
	}
	mapping := strings.NewReplacer(`"mysql://chat@127.0.0.1/chat"`, fmt.Sprintf("%q", u), "password_env = \"CHAT_PASSWORD\"\n", "", "127.0.0.1:8080", s.addr).Replace(mappingOf(t, "php-chat.md"))
	for name, text := range map[string]string{"token.key": string(key), "adopt.toml": mapping} {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	password, _ := u.User.Password()
	cmd := exec.Command("php", "-S", pages, "-t", "public") //nolint:gosec // an address of this test
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "CHAT_PDO=mysql:host="+u.Hostname()+";port="+u.Port()+";dbname="+strings.Trim(u.Path, "/")+";charset=utf8mb4",
		"CHAT_USER="+u.User.Username(), "CHAT_PASSWORD="+password, "ROOMTIDE_URL=http://"+s.addr)
	testprocess.Spawn(t, cmd)
	return m
}

// schema makes the tables of the old chat.
func (m *moving) schema(u *url.URL) {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, "schema.sql"))
	if err != nil {
		m.t.Fatal(err)
	}
	c, err := mysqldsn.Config(u)
	if err != nil {
		m.t.Fatal(err)
	}
	c.MultiStatements = true
	db, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		m.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(m.t.Context(), string(text)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *moving) verb(args ...string) *exec.Cmd {
	cmd := exec.Command(program.Path, append([]string{"adopt"}, args...)...) //nolint:gosec // it is the program that is tested
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "ROOMTIDE_KEY="+m.site.key)
	return cmd
}

func (m *moving) must(args ...string) {
	m.t.Helper()
	if out, err := m.verb(args...).CombinedOutput(); err != nil {
		m.t.Fatalf("adopt %v: %v\n%s", args, err, out)
	}
}

// window is a browser with a page, in which a user is logged in.
func (m *moving) window(path, name string) *window {
	m.t.Helper()
	w := openWindow(m.t)
	w.visit("http://" + m.pages + path)
	w.do(chromedp.WaitVisible("[name=name]"), chromedp.SendKeys("[name=name]", name+"\r"))
	w.wait(`document.querySelector("#messages") !== null`)
	return w
}
