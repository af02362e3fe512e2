package matrix

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// speaker is a user in one room, who says the same over each transport.
type speaker struct {
	n         *node
	room, me  string
	transport string
	token     string
	sock      *socket
}

// speakers are one owner of the room over all transports.
func speakers(n *node, room string) []*speaker {
	n.t.Helper()
	const me = "ann"
	for _, s := range []with{{"PUT", "", `{}`}, {"PUT", "/members/" + me, `{"role":"owner"}`}, {"POST", "/messages", `{"message":"first","user":"ann"}`}} {
		if status, answer, err := n.request(s.method, "/v1/rooms/"+room+s.path, s.body, n.admin, "", false); err != nil || status >= 300 {
			n.t.Fatalf("%d %s %v", status, answer, err)
		}
	}
	var all []*speaker
	for _, transport := range transports {
		s := &speaker{n: n, room: room, me: me, transport: transport, token: n.token(me)}
		if transport != "HTTP" {
			var err error
			if s.sock, err = n.dial(transport == "Socket.IO", s.token); err != nil {
				n.t.Fatal(err)
			}
			n.t.Cleanup(func() { s.sock.ws.Close() })
		}
		all = append(all, s)
	}
	return all
}

// say gives a command, whose fields are JSON without braces, and returns the outcome
// and the answer. path and method are those of HTTP; header is its key.
func (s *speaker) say(typ, fields, method, path, key string) (string, string) {
	s.n.t.Helper()
	var answer string
	var err error
	if s.sock == nil {
		answer, err = s.n.post(method, "/v1/rooms/"+s.room+path, "{"+fields+"}", s.token, key)
	} else {
		if key != "" {
			quoted, _ := json.Marshal(key) // a string can always be marshalled
			fields += `,"key":` + string(quoted)
		}
		answer, err = s.sock.ask(typ, strings.TrimSuffix(fmt.Sprintf(`"type":"%s","room":"%s",%s`, typ, s.room, fields), ","))
	}
	if err != nil {
		s.n.t.Fatal(err)
	}
	if s.sock == nil && !strings.Contains(answer, `"code":`) {
		return "yes", answer
	}
	result, err := outcome([]byte(answer))
	if err != nil {
		s.n.t.Fatal(err)
	}
	return result, answer
}

// What one transport refuses the others refuse.
func TestTextsAreTheSameOnEveryTransport(t *testing.T) {
	n := start(t)
	emoji := func(s string) string { return "/messages/1/reactions/" + url.PathEscape(s) }
	for _, s := range speakers(n, "texts") {
		for _, c := range []struct {
			what, typ, fields, method, path, key string
			want                                 string
		}{
			{"a message of white space", "message", `"message":" \n\u3000"`, "POST", "/messages", "", "invalid"},
			{"a message with NUL", "message", `"message":"a\u0000"`, "POST", "/messages", "", "invalid"},
			{"a key that turns text", "message", `"message":"a"`, "POST", "/messages", "k\u202e", "invalid"},
			{"data with NUL", "message", `"message":"a","data":["\u0000"]`, "POST", "/messages", "", "invalid"},
			{"data out of range", "message", `"message":"a","data":1e999`, "POST", "/messages", "", "invalid"},
			{"data too deep", "message", `"message":"a","data":` + strings.Repeat("[", 33) + strings.Repeat("]", 33), "POST", "/messages", "", "invalid"},
			{"data of an edit too deep", "edit", `"seq":1,"message":"a","data":` + strings.Repeat("[", 33) + strings.Repeat("]", 33), "PATCH", "/messages/1", "", "invalid"},
			{"an edit to white space", "edit", `"seq":1,"message":"\u200b"`, "PATCH", "/messages/1", "", "invalid"},
			{"a title with a line break", "set_room", `"title":"a\nb"`, "PUT", "", "", "invalid"},
			{"a topic with a line break", "set_room", `"topic":"a\u2028b"`, "PUT", "", "", "invalid"},
			{"data of a room with NUL", "set_room", `"data":"\u0000"`, "PUT", "", "", "invalid"},
			{"an avatar of another host", "set_room", `"avatar":"//example.org/x.png"`, "PUT", "", "", "invalid"},
			{"a title that turns text", "set_room", `"title":"\u202ea"`, "PUT", "", "", "invalid"},
			{"a member with a space at the end", "set_member", `"member":"bob ","role":"member"`, "PUT", "/members/bob%20", "", "invalid"},
			{"a member with an invisible character", "set_member", `"member":"b\u200bob","role":"member"`, "PUT", "/members/b%E2%80%8Bob", "", "invalid"},
			{"a reaction that is a text", "react", `"seq":1,"emoji":"lol"`, "PUT", emoji("lol"), "", "invalid"},
			{"a reaction that is a control character", "react", `"seq":1,"emoji":"\n"`, "PUT", emoji("\n"), "", "invalid"},
			{"a reaction", "react", `"seq":1,"emoji":"❤"`, "PUT", emoji("❤"), "", "yes"},
			{"the same in another spelling", "react", `"seq":1,"emoji":"❤\ufe0f"`, "PUT", emoji("❤\ufe0f"), "", "yes"},
			{"data of PHP", "message", `"message":"a","data":"` + strings.Repeat(`\u4e2d`, 5000) + `"`, "POST", "/messages", "", "yes"},
		} {
			fields := c.fields
			if s.sock == nil { // what HTTP has in its path
				fields = strings.TrimPrefix(fields, `"seq":1,`)
				if c.typ == "set_member" {
					fields = `"role":"member"`
				}
				if c.typ == "react" {
					fields = ""
				}
			}
			if result, answer := s.say(c.typ, fields, c.method, c.path, c.key); result != c.want {
				t.Errorf("%s over %s: %s, want %s", c.what, s.transport, answer, c.want)
			}
		}
	}
	_, answer, err := n.request("GET", "/v1/rooms/texts/messages?before=2", "", n.admin, "", false)
	if err != nil || strings.Count(string(answer), `"emoji"`) != 1 {
		t.Errorf("one reaction in two spellings: %s %v", answer, err)
	}
}

// The same message with the same key is one message, over whichever transport it is
// repeated and however its JSON is written, and is stored in one form.
func TestRetriesOverOtherTransports(t *testing.T) {
	n := start(t)
	var numbers []string
	for i, s := range speakers(n, "retries") {
		data := []string{"{\"order\": \"\\u4e2d\\/1\",\n \"paid\": [ true ]}", `{"order":"中/1","paid":[true]}`, `{ "\u006frder":"\u4E2D/1" , "paid":[true]}`}[i]
		result, answer := s.say("message", `"message":"a","data":`+data, "POST", "/messages", "k")
		var f struct{ Seq int }
		if err := json.Unmarshal([]byte(answer), &f); err != nil || result != "yes" {
			t.Fatalf("%s: %s %v", s.transport, answer, err)
		}
		numbers = append(numbers, fmt.Sprint(f.Seq))
	}
	if got := strings.Join(numbers, " "); got != "2 2 2" {
		t.Errorf("messages %s", got)
	}
	_, answer, err := n.request("GET", "/v1/rooms/retries/messages?after=1", "", n.admin, "", false)
	if err != nil || !strings.Contains(string(answer), `"data":{"order":"中/1","paid":[true]}`) {
		t.Errorf("%s %v", answer, err)
	}
}
