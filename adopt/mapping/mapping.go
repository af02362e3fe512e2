// Package mapping says what the tables of a chat mean: a TOML file of SQL expressions,
// which the source's database evaluates, and of decoders for what comes of them.
// docs/adopt.md is its reference.
//
// The package does no I/O. It reads and checks the file, recognises the schemas of known
// chats by their columns (presets), and proposes a mapping for others.
package mapping

// Mapping is the file.
type Mapping struct {
	Source   Source            `toml:"source"`
	Message  Message           `toml:"message"`
	Rooms    []Room            `toml:"room"`
	Members  []Member          `toml:"member"`
	Users    []User            `toml:"user"`
	Reads    []Read            `toml:"read"`
	Problems map[string]string `toml:"problems"` // class of problem -> what is done; see Actions
	Mirror   Mirror            `toml:"mirror"`
	Roomtide Roomtide          `toml:"roomtide"`
}

// Source is where the tables are, and how their values are meant.
type Source struct {
	Name        string `toml:"name"`         // part of the idempotency keys of everything imported: it never changes
	DSN         string `toml:"dsn"`          // mysql://, postgres://, sqlite:, csv:, jsonl:
	PasswordEnv string `toml:"password_env"` // variable with the password, if the DSN has none
	TZ          string `toml:"tz"`           // time zone of dates without one: that of the application's clock
	SessionTZ   string `toml:"session_tz"`   // time zone that the application sets in its sessions; "" is the server's
	Charset     string `toml:"charset"`      // encoding of files that are not UTF-8
}

// Mirror says how what is said in Roomtide is written into the table of the messages.
type Mirror struct {
	Off     bool              `toml:"off"`     // nothing is written
	Columns map[string]string `toml:"columns"` // further columns of a new row, and their values in SQL
	DSN     string            `toml:"dsn"`     // with a user that may write; "" is source.dsn
}

// Roomtide is the node that the chat moves to.
type Roomtide struct {
	URL    string `toml:"url"`
	KeyEnv string `toml:"key_env"` // variable with the API key
}

// From is which rows a section reads. From is a table with an alias if it has one, a
// subselect with an alias, or a table whose name has ? and * in it, which is all tables that match.
type From struct {
	From  string `toml:"from"`
	Join  string `toml:"join"`
	Where string `toml:"where"`
	PK    string `toml:"pk"`
}

// Message says what a message is. Fields are SQL expressions.
type Message struct {
	From
	Room    string            `toml:"room"`
	User    string            `toml:"user"`
	To      string            `toml:"to"` // the other member of a conversation of two
	Text    string            `toml:"text"`
	Time    string            `toml:"time"`
	Unit    string            `toml:"unit"`
	Edited  string            `toml:"edited"`  // when it was edited, NULL if never
	Deleted string            `toml:"deleted"` // true for what is gone
	Reply   string            `toml:"reply"`   // primary key of the message that it answers
	Kind    string            `toml:"kind"`    // 'message', 'system' or 'skip'
	Data    map[string]string `toml:"data"`

	Decode     []string            `toml:"decode"`      // decoders of text
	DataDecode map[string][]string `toml:"data_decode"` // decoders of data
	Watch      map[string]string   `toml:"watch"`       // other table -> its column with our primary key
}

// Room says what rooms there are, with titles. Rooms that only messages name exist too.
type Room struct {
	From
	ID    string `toml:"id"`
	Title string `toml:"title"`
	Open  string `toml:"open"` // true where any user may join
}

// Member says who is in which room. Authors are members without it.
type Member struct {
	From
	Room string `toml:"room"`
	User string `toml:"user"`
	Role string `toml:"role"` // 'owner', 'moderator', 'member', 'muted' or 'banned'
	Left string `toml:"left"` // true for a former member
}

// User says which users there are, with names.
type User struct {
	From
	ID   string `toml:"id"`
	Name string `toml:"name"`
}

// Read says how far users have read: up to a message (by = "key") or up to a time (by = "time", with
// a unit). The furthest row of a user in a room counts.
type Read struct {
	From
	Room string `toml:"room"`
	User string `toml:"user"`
	Upto string `toml:"upto"`
	By   string `toml:"by"`
	Unit string `toml:"unit"`
}

// Field is an expression of a section and its name in the file, without the section.
type Field struct{ Name, Expr string }

// given leaves out what a mapping does not have.
func given(fields ...Field) []Field {
	var all []Field
	for _, f := range fields {
		if f.Expr != "" {
			all = append(all, f)
		}
	}
	return all
}
