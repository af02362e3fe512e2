package matrix

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

var update = flag.Bool("update", false, "write docs/permissions.md anew")

const document = "../../docs/permissions.md"

// workers is how many columns are filled in at a time.
const workers = 16

var transports = []string{"WebSocket", "Socket.IO", "HTTP"}

// leastCells is the size of the matrix, which does not shrink in silence.
const leastCells = 1200

// cell is one command of one user in one room, over one transport.
type cell struct {
	*row
	*situation
	transport string
	room      chat.RoomID
	me        string
}

func (c *cell) fill(s string) string { return strings.ReplaceAll(s, "{me}", c.me) }

// skipped reports whether the transport does not have the command.
func (c *cell) skipped() bool {
	switch c.transport {
	case "WebSocket":
		return c.frame == ""
	case "Socket.IO":
		return c.frame == "" || c.bare
	}
	return c.method == ""
}

func TestPermissions(t *testing.T) {
	n := start(t)
	scopes := []string{"send", "read", "rooms", "users", "admin", "metrics"}
	keys := map[string]string{"*": n.admin}
	for _, s := range scopes {
		keys[s] = n.key(s)
	}
	var b strings.Builder
	b.WriteString(head)
	n.users(&b)
	b.WriteString(middle)
	n.keys(&b, scopes, keys)
	if *update {
		if err := os.WriteFile(document, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("%s says something else: run make generate and read the difference\n%s", document, difference(string(want), b.String()))
	}
}

// difference is the lines of got that are not in want.
func difference(want, got string) string {
	var out []string
	for line := range strings.Lines(got) {
		if !strings.Contains(want, line) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// users writes the table of what users can do.
func (n *node) users(b *strings.Builder) {
	n.t.Helper()
	var mu sync.Mutex
	results := map[[2]string]map[string][]string{} // row and situation; outcome: transports
	var all sync.WaitGroup
	free := make(chan struct{}, workers)
	cells := 0
	for i := range situations {
		for _, transport := range transports {
			all.Go(func() {
				free <- struct{}{}
				defer func() { <-free }()
				for name, result := range n.column(i, transport) {
					mu.Lock()
					k := [2]string{name, situations[i].name}
					if results[k] == nil {
						results[k] = map[string][]string{}
					}
					results[k][result] = append(results[k][result], transport)
					cells++
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	if cells < leastCells {
		n.t.Errorf("only %d cells were tried", cells)
	}
	for _, r := range rows { // a room that is not there is no other than one that is private
		private, missing := words(results[[2]string{r.name, "stranger"}]), words(results[[2]string{r.name, "no room"}])
		if private != missing {
			n.t.Errorf("%s: %s in a private room, %s in none", r.name, private, missing)
		}
	}
	fmt.Fprint(b, "| |")
	for _, s := range situations {
		fmt.Fprintf(b, " %s |", s.name)
	}
	fmt.Fprint(b, "\n| --- |", strings.Repeat(" --- |", len(situations)), "\n")
	for _, r := range rows {
		fmt.Fprintf(b, "| %s |", r.name)
		for _, s := range situations {
			fmt.Fprintf(b, " %s |", words(results[[2]string{r.name, s.name}]))
		}
		fmt.Fprintln(b)
	}
	fmt.Fprintln(b)
	for _, s := range situations {
		fmt.Fprintf(b, "- *%s*: %s\n", s.name, s.what)
	}
}

// words is the outcome that all transports have, or each one with its transports.
func words(outcomes map[string][]string) string {
	if len(outcomes) == 1 {
		for o := range outcomes {
			return o
		}
	}
	var parts []string
	for _, o := range slices.Sorted(maps.Keys(outcomes)) {
		slices.Sort(outcomes[o])
		parts = append(parts, o+" ("+strings.Join(outcomes[o], ", ")+")")
	}
	return strings.Join(parts, ", ")
}

// column tries all commands of one situation over one transport.
func (n *node) column(i int, transport string) map[string]string {
	s := &situations[i]
	var cells []cell
	var granted []chat.RoomID
	me := fmt.Sprintf("user-%d-%s", i, transport)
	for r := range rows {
		c := cell{&rows[r], s, transport, chat.RoomID(fmt.Sprintf("room-%d-%d-%s", i, r, transport)), me}
		if c.skipped() {
			continue
		}
		cells = append(cells, c)
		if s.grant {
			granted = append(granted, c.room)
		}
	}
	token := n.token(me, granted...)
	var sock *socket
	if transport != "HTTP" {
		var err error
		if sock, err = n.dial(transport == "Socket.IO", token); err != nil {
			n.t.Errorf("%s: %v", me, err)
			return nil
		}
		defer sock.ws.Close()
	}
	results := map[string]string{}
	for _, c := range cells {
		result, err := n.try(&c, token, sock)
		if err != nil {
			n.t.Errorf("%s as %s over %s: %v", c.row.name, s.name, transport, err)
			continue
		}
		results[c.row.name] = result
	}
	return results
}

// try makes the room, gives the command and returns the outcome. A refusal has
// nothing of the room in it and leaves the room as it is.
func (n *node) try(c *cell, token string, sock *socket) (string, error) {
	if err := n.prepare(c, token); err != nil {
		return "", err
	}
	before, err := n.state(c)
	if err != nil {
		return "", err
	}
	result, answer, err := n.command(c, token, sock)
	if err != nil || result == "yes" {
		return result, err
	}
	if strings.Contains(answer, "s3cret") || strings.Contains(answer, "someone") {
		n.t.Errorf("%s as %s over %s: the refusal tells what is in the room: %s", c.row.name, c.situation.name, c.transport, answer)
	}
	if after, err := n.state(c); err != nil || after != before {
		n.t.Errorf("%s as %s over %s: refused with %s, and yet the room changed: %v\n%s\n%s", c.row.name, c.situation.name, c.transport, result, err, before, after)
	}
	return result, nil
}

func (n *node) command(c *cell, token string, sock *socket) (result, answer string, err error) {
	if sock == nil {
		path := "/v1/rooms/" + string(c.room) + c.fill(c.path)
		status, body, err := n.request(c.method, path, c.fill(c.body), token, "", c.stream)
		if err != nil || status < 300 {
			return "yes", "", err
		}
		result, err = outcome(body)
		return result, string(body), err
	}
	name := "message"
	if m := regexp.MustCompile(`^"type":"(\w+)"`).FindStringSubmatch(c.frame); m != nil {
		name = m[1]
	}
	answer, err = sock.ask(name, fmt.Sprintf(`%s,"room":"%s"`, c.fill(c.frame), c.room))
	if err != nil {
		return "", "", err
	}
	result, err = outcome([]byte(answer))
	return result, answer, err
}

// prepare makes the room as the command needs it.
func (n *node) prepare(c *cell, token string) error {
	if c.none {
		return nil
	}
	room := fmt.Sprintf(`{"title":"s3cret","open":%v,"read_only":%v}`, c.open, c.readOnly)
	steps := append([]with{{"PUT", "", room}}, c.with...)
	switch c.role {
	case "":
	case "left", "none":
		steps = append(steps, with{"PUT", "/members/{me}", `{"role":"member"}`})
	default:
		steps = append(steps, with{"PUT", "/members/{me}", `{"role":"` + c.role + `"}`})
	}
	if c.role == "none" {
		steps = append(steps, with{"DELETE", "/members/{me}", ""})
	}
	for _, s := range steps {
		if err := n.step(c, s, n.admin, c.me); err != nil {
			return err
		}
	}
	if c.role == "left" {
		return n.step(c, with{"DELETE", "/members/{me}", ""}, token, "")
	}
	return nil
}

func (n *node) step(c *cell, s with, credential, as string) error {
	status, answer, err := n.request(s.method, "/v1/rooms/"+string(c.room)+c.fill(s.path), c.fill(s.body), credential, as, false)
	if err == nil && status >= 300 {
		err = fmt.Errorf("%s %s: %d %s", s.method, s.path, status, answer)
	}
	return err
}

// state is the room as the host sees it.
func (n *node) state(c *cell) (string, error) {
	_, answer, err := n.request("GET", "/v1/rooms/"+string(c.room), "", n.admin, "", false)
	return string(answer), err
}

// keys writes the table of what API keys can do. The operations are those of the
// specification that the node serves.
func (n *node) keys(b *strings.Builder, scopes []string, keys map[string]string) {
	n.t.Helper()
	_, raw, err := n.request("GET", "/openapi.json", "", n.admin, "", false)
	if err != nil {
		n.t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		n.t.Fatal(err)
	}
	fmt.Fprintf(b, "| | %s | * |\n| --- |%s\n", strings.Join(scopes, " | "), strings.Repeat(" --- |", len(scopes)+1))
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		if !strings.HasPrefix(path, "/v1/") {
			continue
		}
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			if method == "parameters" {
				continue
			}
			n.keyRow(b, strings.ToUpper(method), path, append(slices.Clone(scopes), "*"), keys)
		}
	}
}

// keyRow writes what each key gets from an operation. One that needs the scope admin
// is for API keys alone: whatever else there is, a user or nothing at all, has none. One
// of the operations has ended the tokens of a user.
func (n *node) keyRow(b *strings.Builder, method, path string, scopes []string, keys map[string]string) {
	fmt.Fprintf(b, "| `%s %s` |", method, path)
	for _, scope := range scopes {
		result := n.operation(method, path, keys[scope])
		fmt.Fprintf(b, " %s |", result)
		if scope != "admin" || result != "yes" {
			continue
		}
		for credential, want := range map[string]string{n.token("visitor"): "forbidden", n.token("visitor", "*"): "forbidden", "": "unauthenticated"} {
			if got := n.operation(method, path, credential); got != want {
				n.t.Errorf("%s %s with %q: %s, want %s", method, path, credential, got, want)
			}
		}
	}
	fmt.Fprintln(b)
}

// operation is what the key gets: anything that is not a refusal of the key is a yes.
func (n *node) operation(method, path, credential string) string {
	path = strings.NewReplacer("{room}", "keys", "{user}", "someone", "{seq}", "1", "{emoji}", "%F0%9F%91%8D", "{key}", "k").Replace(path)
	body := ""
	if method == "PUT" || method == "POST" || method == "PATCH" {
		body = "{}"
	}
	status, answer, err := n.request(method, path, body, credential, "someone", strings.HasSuffix(path, "/events"))
	if err != nil {
		n.t.Errorf("%s %s: %v", method, path, err)
	}
	if status < 300 {
		return "yes"
	}
	result, err := outcome(answer)
	if err != nil {
		n.t.Errorf("%s %s: %v", method, path, err)
	}
	if result == "forbidden" || result == "unauthenticated" {
		return result
	}
	return "yes"
}

const head = `# Permissions

This file is written by a test (make generate) from what a running node answers, over WebSocket, Socket.IO and
HTTP. Where the transports differ, each is named. *yes* is an ack; otherwise the cell has the code of the error. The
test also sees to it that a refusal changes nothing and has nothing of the room in it.

## Users with a token

Where only the host's back end makes rooms (guests off). A user who is not in a room is answered the same whether
the room is private or does not exist; a message is looked for only after that.

`

const middle = `
In a read-only room members take back and do not add. A user who leaves a room they are not in is told that it is
done. Banned users who are put out stay banned, until the ban is ended.

## API keys

An API key stands above the roles of rooms, within its scopes. What needs the scope admin is for API keys alone:
the test asks for it with users' tokens (*forbidden*) and without a credential (*unauthenticated*) as well.

`
