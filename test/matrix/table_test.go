package matrix

import (
	"encoding/json"
	"fmt"
)

// situation is what a user is to a room.
type situation struct {
	name     string // the head of the column
	what     string // the line below the table
	none     bool   // there is no such room
	open     bool
	readOnly bool   // read-only
	role     string // set by the host last; "left": the user joined and left
	grant    bool   // the user's token names the room
}

var situations = []situation{
	{name: "stranger", what: "not a member of a closed room"},
	{name: "no room", what: "there is no such room", none: true},
	{name: "open", what: "not a member of an open room", open: true},
	{name: "grant", what: "not a member of a closed room that the token names", grant: true},
	{name: "left", what: "left a closed room", role: "left"},
	{name: "put out", what: "was put out of a closed room", role: "none"},
	{name: "banned", what: "banned from an open room", open: true, role: "banned"},
	{name: "banned, grant", what: "banned from a room that the token names", role: "banned", grant: true},
	{name: "member", what: "member", role: "member"},
	{name: "member, r/o", what: "member of a read-only room", role: "member", readOnly: true},
	{name: "muted", what: "muted member", role: "muted"},
	{name: "moderator", what: "moderator", role: "moderator"},
	{name: "moderator, r/o", what: "moderator of a read-only room", role: "moderator", readOnly: true},
	{name: "owner", what: "owner", role: "owner"},
}

// row is a command, as each transport has it.
type row struct {
	name   string
	frame  string // the fields of the command without room; "": not over sockets
	bare   bool   // without type, which Socket.IO does not have
	method string // of HTTP; "": not over HTTP
	path   string // behind /v1/rooms/{room}; {me} is the user
	body   string
	stream bool   // the answer does not end
	with   []with // what the room needs beforehand
}

// with is something that a command is about.
type with struct{ method, path, body string }

// Message 1 is another's, message 2 the user's own.
var (
	others   = with{"POST", "/messages", `{"message":"s3cret","user":"other"}`}
	own      = with{"POST", "/messages", `{"message":"s3cret","user":"{me}"}`}
	reaction = with{"PUT", "/messages/1/reactions/%F0%9F%91%8D", ""}
	someone  = func(role string) with { return with{"PUT", "/members/someone", `{"role":"` + role + `"}`} }
)

var rows = []row{
	{name: "join", frame: `"type":"join"`, method: "PUT", path: "/members/{me}", body: `{}`},
	{name: "join again, with what changed", frame: `"type":"join","after":0`},
	{name: "leave", frame: `"type":"leave"`, method: "DELETE", path: "/members/{me}"},
	{name: "send", frame: `"type":"message","message":"x"`},
	{name: "send, joining first", frame: `"message":"x"`, bare: true, method: "POST", path: "/messages", body: `{"message":"x"}`},
	{name: "edit one's own message", frame: `"type":"edit","seq":2,"message":"x"`, method: "PATCH", path: "/messages/2", body: `{"message":"x"}`, with: []with{others, own}},
	{name: "edit another's message", frame: `"type":"edit","seq":1,"message":"x"`, method: "PATCH", path: "/messages/1", body: `{"message":"x"}`, with: []with{others}},
	{name: "edit a message that is not there", frame: `"type":"edit","seq":9,"message":"x"`, method: "PATCH", path: "/messages/9", body: `{"message":"x"}`},
	{name: "delete one's own message", frame: `"type":"delete","seq":2`, method: "DELETE", path: "/messages/2", with: []with{others, own}},
	{name: "delete another's message", frame: `"type":"delete","seq":1`, method: "DELETE", path: "/messages/1", with: []with{others}},
	{name: "delete a message that is not there", frame: `"type":"delete","seq":9`, method: "DELETE", path: "/messages/9"},
	{name: "react", frame: `"type":"react","seq":1,"emoji":"👍"`, method: "PUT", path: "/messages/1/reactions/%F0%9F%91%8D", with: []with{others}},
	{name: "react to a message that is not there", frame: `"type":"react","seq":9,"emoji":"👍"`, method: "PUT", path: "/messages/9/reactions/%F0%9F%91%8D"},
	{name: "take one's reaction back", frame: `"type":"react","seq":1,"emoji":"👍","on":false`, method: "DELETE", path: "/messages/1/reactions/%F0%9F%91%8D", with: []with{others, reaction}},
	{name: "mark as read", frame: `"type":"read","seq":1`, method: "PUT", path: "/read", body: `{"seq":1}`, with: []with{others}},
	{name: "be seen typing", frame: `"type":"typing"`, method: "POST", path: "/typing", body: `{}`},
	{name: "history", frame: `"type":"history"`, method: "GET", path: "/messages", with: []with{others}},
	{name: "ask by its key for a message that is not there", method: "GET", path: "/messages/by-key/none", with: []with{others}},
	{name: "changes", frame: `"type":"changes","after":0`, method: "GET", path: "/changes", with: []with{others}},
	{name: "events, joining first", method: "GET", path: "/events", stream: true},
	{name: "members", frame: `"type":"members"`, method: "GET", path: "/members"},
	{name: "users online", frame: `"type":"online"`, method: "GET", path: "/online"},
	{name: "the room itself", frame: `"type":"room"`, method: "GET", path: ""},
	{name: "change the room", frame: `"type":"set_room","title":"x"`, method: "PUT", path: "", body: `{"title":"x"}`},
	{name: "delete the room", method: "DELETE", path: ""},
	{name: "put a user in", frame: `"type":"set_member","member":"someone","role":"member"`, method: "PUT", path: "/members/someone", body: `{"role":"member"}`},
	{name: "put a member out", frame: `"type":"set_member","member":"someone","role":"none"`, method: "DELETE", path: "/members/someone", with: []with{someone("member")}},
	{name: "ban a member", frame: `"type":"set_member","member":"someone","role":"banned"`, method: "PUT", path: "/members/someone", body: `{"role":"banned"}`, with: []with{someone("member")}},
	{name: "mute a member", frame: `"type":"set_member","member":"someone","role":"muted"`, method: "PUT", path: "/members/someone", body: `{"role":"muted"}`, with: []with{someone("member")}},
	{name: "see who is banned", frame: `"type":"members","role":"banned"`, method: "GET", path: "/members?role=banned", with: []with{someone("banned")}},
	{name: "end a ban", frame: `"type":"set_member","member":"someone","role":"none","unban":true`, method: "PUT", path: "/members/someone", body: `{"role":"none","unban":true}`, with: []with{someone("banned")}},
	{name: "let a banned user back in", frame: `"type":"set_member","member":"someone","role":"member"`, method: "PUT", path: "/members/someone", body: `{"role":"member"}`, with: []with{someone("banned")}},
	{name: "make a moderator", frame: `"type":"set_member","member":"someone","role":"moderator"`, method: "PUT", path: "/members/someone", body: `{"role":"moderator"}`, with: []with{someone("member")}},
	{name: "make an owner", frame: `"type":"set_member","member":"someone","role":"owner"`, method: "PUT", path: "/members/someone", body: `{"role":"owner"}`, with: []with{someone("member")}},
	{name: "ban a moderator", frame: `"type":"set_member","member":"someone","role":"banned"`, method: "PUT", path: "/members/someone", body: `{"role":"banned"}`, with: []with{someone("moderator")}},
	{name: "put an owner out", frame: `"type":"set_member","member":"someone","role":"none"`, method: "DELETE", path: "/members/someone", with: []with{someone("owner")}},
	{name: "make oneself an owner", frame: `"type":"set_member","member":"{me}","role":"owner"`, method: "PUT", path: "/members/{me}", body: `{"role":"owner"}`},
	{name: "give a member a name", method: "PUT", path: "/members/someone", body: `{"role":"member","name":"Fool"}`, with: []with{someone("member")}},
	{name: "set how one is notified of the room", frame: `"type":"set_push","level":"none"`},
	{name: "send as another user", frame: `"type":"message","message":"x","user":"other"`, method: "POST", path: "/messages", body: `{"message":"x","user":"other"}`},
}

// outcome is "yes" or the code of the error.
func outcome(frame []byte) (string, error) {
	var f struct{ Type, Code string }
	if err := json.Unmarshal(frame, &f); err != nil {
		return "", fmt.Errorf("%w: %s", err, frame)
	}
	switch {
	case f.Type == "error" || f.Code != "":
		return f.Code, nil
	case f.Type == "ack":
		return "yes", nil
	}
	return "", fmt.Errorf("neither an ack nor an error: %s", frame)
}
