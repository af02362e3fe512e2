package mapping

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/adopt/decode"
	"github.com/roomtide/roomtide/chat"
)

func TestDM(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"9", "10", "dm-9-10"}, {"10", "9", "dm-9-10"}, {"a10", "9", "dm-9-a10"}, {"b", "a", "dm-a-b"}, {"7", "7", "dm-7-7"},
		{"99999999999999999999", "100000000000000000000", "dm-99999999999999999999-100000000000000000000"}, {"007", "10", "dm-007-10"},
		{"-1", "5", "dm--1-5"}, {"", "5", ""}, {"5", "", ""},
	} {
		if got := DM(c.a, c.b); got != c.want {
			t.Errorf("%s and %s: %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

// The function that the reference prints for PHP names the same rooms.
func TestPHPNamesTheSameRooms(t *testing.T) {
	data, err := os.ReadFile("../../docs/adopt.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, ok := strings.Cut(string(data), "```php\n")
	code, _, ok2 := strings.Cut(code, "```")
	if !ok || !ok2 {
		t.Fatal("docs/adopt.md has no PHP")
	}
	ids := []string{"1", "9", "10", "007", "7", "-1", "a", "B", "a10", "é", "18446744073709551616", "18446744073709551617", "1e3", "1000"}
	var want strings.Builder
	for _, a := range ids {
		for _, b := range ids {
			want.WriteString(DM(a, b) + "\n")
			if DM(a, b) != DM(b, a) {
				t.Errorf("%s and %s have two rooms", a, b)
			}
		}
	}
	code += "$ids = ['" + strings.Join(ids, "', '") + "']; foreach ($ids as $a) foreach ($ids as $b) echo dm($a, $b), \"\\n\";"
	out, err := exec.CommandContext(t.Context(), "php", "-r", code).Output()
	if err != nil || string(out) != want.String() {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestExpand(t *testing.T) {
	for expr, want := range map[string]string{
		"room_id":                      "room_id",
		"dm(a, b)":                     "CONCAT('\x01', a, '\x02', b, '\x03')",
		"CONCAT(s, '-', dm(a, f(b)))":  "CONCAT(s, '-', CONCAT('\x01', a, '\x02', f(b), '\x03'))",
		"'dm(a, b)'":                   "'dm(a, b)'",
		"adm(a, b)":                    "adm(a, b)",
		"dm(a)":                        "dm(a)",
		"dm(',', `b)`)":                "CONCAT('\x01', ',', '\x02', `b)`, '\x03')",
		"CASE WHEN x THEN dm(a,b) END": "CASE WHEN x THEN CONCAT('\x01', a, '\x02', b, '\x03') END",
	} {
		if got := Expand(expr); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
	for value, want := range map[string]string{
		"plain": "plain", "\x0110\x029\x03": "dm-9-10", "s1-\x01b\x02a\x03": "s1-dm-a-b", "\x01\x029\x03": "", "\x01open": "\x01open",
	} {
		if got := Names(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	for expr, want := range map[string]string{
		"room_id": "room_id", "m.room_id": "room_id", "`from`": "from", "m.`from`": "from", `"User"`: "User", " x ": "x",
		"NULL": "", "1": "", "'a'": "", "a + b": "", "f(x)": "", "a.b.c": "", "": "",
	} {
		if got, ok := Plain(expr); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %t", expr, got, ok)
		}
	}
	if a, b, ok := Pair("dm(m.from_id, `to`)"); a != "from_id" || b != "to" || !ok {
		t.Error(a, b, ok)
	}
	for _, expr := range []string{"CONCAT('x', dm(a, b))", "dm(a, b) || 'x'", "dm(a, 1)", "dm(a)", "x"} {
		if _, _, ok := Pair(expr); ok {
			t.Errorf("%s is taken for a pair", expr)
		}
	}
}

const good = `
[source]
dsn = "mysql://reader@127.0.0.1/shop"
[message]
from = "messages"
room = "room_id"
user = "user_id"
text = "message"
time = "created_at"
`

// What is wrong is said with its place and what to do.
func TestCheck(t *testing.T) {
	for _, c := range []struct{ add, remove, want string }{
		{"", "", ""},
		{"[[read]]\nfrom='r'\nroom='a'\nuser='b'\nupto='c'", "", ""},
		{"", `room = "room_id"`, "message.room is missing"},
		{"", `user = "user_id"`, "message.user is missing"},
		{"", `time = "created_at"`, `unit = "none"`},
		{"", `dsn = "mysql://reader@127.0.0.1/shop"`, "source.dsn is missing"},
		{`decode = ["htlm"]`, "", `message.decode: there is no decoder "htlm"; there are aes, bbcode`},
		{`unit = "m"`, "", "message.unit is one of sql, s, ms"},
		{`edited = "f(x"`, "", "message.edited: a bracket is not closed"},
		{`edited = "x)"`, "", "message.edited: a bracket is closed that was not opened"},
		{`where = "x; DROP TABLE y"`, "", "message.where: it has a semicolon"},
		{`where = "1 -- "`, "", "message.where: it has a comment"},
		{`where = "a = '"`, "", "message.where: a quote is not closed"},
		{`where = "data #>> '{a}' = 'x'"`, "", ""},
		{"[message.data_decode]\nfile = ['phpser']", "", "there is no message.data.file"},
		{"[[member]]\nfrom = 'm'\nroom = 'r'", "", "member.user is missing"},
		{"[[user]]\nid = 'm'\nname = 'r'", "", "user.from is missing"},
		{"[[read]]\nfrom='r'\nroom='a'\nuser='b'\nupto='c'\nby='x'", "", `read.by is "key" or "time"`},
		{"[problems]\ntoo_long = 'drop'", "", "problems.too_long is one of refuse, cut, keep"},
		{"[problems]\ntoo_lnog = 'cut'", "", "problems.too_lnog: nothing is to be decided"},
		{"", `from = "messages"`, "message.from is missing"},
		{`from = "(SELECT 1) m"`, `from = "messages"`, "message.from is a table"},
	} {
		m, err := Parse("adopt.toml", []byte(strings.Replace(good, c.remove, "", 1)+c.add))
		if err != nil {
			t.Fatal(err)
		}
		switch err := m.Check(nil); {
		case c.want == "" && err != nil:
			t.Errorf("%q: %v", c.add, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || chat.KindOf(err) != chat.Invalid):
			t.Errorf("%q without %q: %v, want %q", c.add, c.remove, err, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"[message]\nfrm = 'x'":                    "adopt.toml:2: there is no setting message.frm in a mapping",
		"[message]\nfrom = x":                     "adopt.toml:2: ",
		"[source]\ntz = 3":                        "adopt.toml:2: ",
		"[source]\nmode = 1\n[message]\nmode = 2": "adopt.toml:4: there is no setting message.mode",
	} {
		if _, err := Parse("adopt.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) || chat.KindOf(err) != chat.Invalid {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	m, err := Parse("adopt.toml", []byte(good))
	if err != nil || m.Message.Unit != "sql" || m.Source.TZ != "UTC" || m.Action("too_long") != "refuse" || m.Action("no_time") != "keep" {
		t.Error(m, err)
	}
	m, err = Parse("adopt.toml", []byte(good+"[problems]\nno_time = 'refuse'"))
	if err != nil || m.Action("no_time") != "refuse" {
		t.Error(m, err)
	}
}

// The text of every preset is a mapping, and a whole file of it is one.
func TestPresetsAreMappings(t *testing.T) {
	for _, p := range Presets() {
		m := Match{Preset: p, Table: "wp_messages", Prefix: "wp_"}
		d := Document{What: p.Title, Source: Source{Name: "shop", DSN: "mysql://a@b/c", TZ: "UTC"}, Text: m.Text()}
		parsed, err := Parse(p.Name, []byte(d.String()))
		if err == nil {
			err = parsed.Check(nil)
		}
		if err != nil || p.Title == "" || len(p.Columns) < 4 || strings.Contains(d.String(), "{") && strings.Contains(d.String(), "{table}") {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
}

func TestDrop(t *testing.T) {
	text := "[message]\nfrom = \"m\"\nedited = \"e\"\n\n[message.data]\nfile = \"f\"\n\n# One.\n[[member]]\nfrom = \"a\"\nrole = \"r\"\n\n[[member]]\nfrom = \"b\"\n"
	for _, c := range []struct {
		part Part
		want string
	}{
		{Part{"message", 0, "edited"}, "# Left out: why\n# edited = \"e\"\n"},
		{Part{"message", 0, "data.file"}, "[message.data]\n# Left out: why\n# file = \"f\"\n"},
		{Part{"member", 0, "role"}, "from = \"a\"\n# Left out: why\n# role = \"r\"\n"},
		{Part{"member", 1, ""}, "# Left out: why\n# [[member]]\n# from = \"b\"\n"},
		{Part{"member", 0, ""}, "# One.\n# Left out: why\n# [[member]]\n# from = \"a\"\n# role = \"r\"\n\n[[member]]\n"},
	} {
		got := Drop(text, c.part, "why")
		if !strings.Contains(got, c.want) {
			t.Errorf("%v: %s", c.part, got)
		}
	}
	for _, p := range []Part{{"member", 2, ""}, {"message", 0, "role"}, {"room", 0, "id"}} {
		if Drop(text, p, "why") != text {
			t.Errorf("%v changes the text", p)
		}
	}
}

// A table that no preset knows is read by the names of its columns.
func TestPropose(t *testing.T) {
	col := func(name, typ string) Column { return Column{Name: name, Type: typ} }
	pk := func(name string) Column { return Column{Name: name, Type: "int(11)", KeyPart: 1} }
	table := func(name string, columns ...Column) Table {
		t := Table{Name: name, Columns: columns}
		t.Finish()
		return t
	}
	shop := Catalog{
		table("orders", pk("id"), col("user_id", "int(11)"), col("comment", "text"), col("created_at", "datetime")),
		table("users", pk("id"), col("email", "varchar(255)"), col("username", "varchar(50)"), col("password", "varchar(60)")),
		table("support_chat", pk("msgID"), col("ticketID", "int(11)"), col("from", "int(11)"), col("senderID", "int(11)"), col("Text", "mediumtext"),
			col("sent", "int(11)"), col("is_deleted", "tinyint(1)"), col("reply_to", "int(11)")),
		table("ticket", pk("id"), col("subject", "varchar(200)")),
		table("chat_participants", pk("id"), col("ticketid", "int(11)"), col("user_id", "int(11)")),
	}
	quote := func(s string) string { return "`" + s + "`" }
	p, ok := Propose(shop, "", quote, func(table, column string) string {
		if table != "support_chat" || column != "sent" {
			t.Errorf("asked for %s.%s", table, column)
		}
		return "1700000000"
	})
	want := `[message]
from = "support_chat"
pk = "` + "`msgID`" + `"
room = "` + "`ticketID`" + `"
user = "` + "`senderID`" + `"
text = "` + "`Text`" + `"
time = "sent"
unit = "s"
deleted = "is_deleted"
reply = "NULLIF(reply_to, 0)"

[[member]]
from = "chat_participants"
room = "ticketid"
user = "user_id"

[[user]]
from = "users"
id = "id"
name = "username"
`
	if !ok || p.Text != want || p.Table != "support_chat" {
		t.Errorf("%t %s", ok, p.Text)
	}
	pm := Catalog{table("pm", pk("id"), col("from_user", "int(11)"), col("to_user", "int(11)"), col("body", "text"))}
	if p, ok = Propose(pm, "", quote, nil); !ok || !strings.Contains(p.Text, `room = "dm(from_user, to_user)"`) || !strings.Contains(p.Text, `unit = "none"`) || len(p.Unsure) != 1 {
		t.Errorf("%t %v", ok, p)
	}
	if _, ok := Propose(shop[:2], "", quote, nil); ok {
		t.Error("orders are taken for messages")
	}
	if _, ok := Propose(shop, "ticket", quote, nil); ok {
		t.Error("a table without authors is taken for messages")
	}
}

func TestNearest(t *testing.T) {
	table := Table{Name: "messages", Columns: []Column{{Name: "user_id"}, {Name: "message"}, {Name: "created_at"}}}
	for name, want := range map[string]string{"sser_id": "user_id", "messages": "message", "created": "created_at", "zebra": ""} {
		if got := table.Nearest(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Whatever is in a file, it is read or refused.
func FuzzParse(f *testing.F) {
	f.Add(good)
	for _, p := range Presets() {
		f.Add(p.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse("adopt.toml", []byte(text))
		if err != nil {
			return
		}
		if m.Check(nil) != nil {
			return
		}
		for _, s := range m.Sections() {
			for _, field := range s.Fields {
				Expand(field.Expr)
				Plain(field.Expr)
				Pair(field.Expr)
			}
		}
	})
}

// The reference names every preset, decoder and class of problems.
func TestReference(t *testing.T) {
	data, err := os.ReadFile("../../docs/adopt.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range Presets() {
		if !strings.Contains(string(data), "`"+p.Name+"`") {
			t.Errorf("docs/adopt.md does not name the preset %s", p.Name)
		}
	}
	for _, name := range decode.Names() {
		if !strings.Contains(string(data), "`"+name) {
			t.Errorf("docs/adopt.md does not name the decoder %s", name)
		}
	}
	for class := range Actions {
		if !strings.Contains(string(data), "`"+class+"`") {
			t.Errorf("docs/adopt.md does not name the class %s", class)
		}
	}
}
