package mapping

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Names that columns of chats have, the likeliest first, without case and underscores.
var (
	textNames = []string{"message", "msg", "body", "content", "text", "chatmessage", "messagetext", "messagebody", "messagecontent", "tmessage",
		"msgtext", "chattext", "mensaje", "mensagem", "nachricht", "contenu", "comment", "post"}
	userNames = []string{"userid", "senderid", "fromid", "authorid", "fromuserid", "fromuser", "fromuid", "iduser", "idsender", "sender", "author", "uid",
		"outgoingmsgid", "createdby", "ownerid", "memberid", "user", "username", "nick", "nickname", "name"}
	toNames = []string{"toid", "receiverid", "recipientid", "touserid", "touser", "touid", "idreceiver", "receiver", "recipient", "incomingmsgid",
		"friendid", "targetid"}
	roomNames = []string{"roomid", "conversationid", "threadid", "chatid", "channelid", "groupid", "chatroomid", "dialogid", "topicid", "ticketid", "idroom",
		"room", "channel", "conversation", "thread", "chat"}
	timeNames = []string{"createdat", "sentat", "datesent", "timestamp", "createdon", "createtime", "timecreated", "messagetime", "msgtime", "senttime",
		"dateline", "datetime", "created", "time", "date", "addedat", "added", "postedat", "sent", "fecha", "datum"}
	editedNames  = []string{"editedat", "edittime", "lastedit", "editedon"}
	deletedNames = []string{"deletedat", "isdeleted", "deleted", "removed", "isremoved"}
	replyNames   = []string{"replytoid", "replyto", "replyid", "inreplyto", "parentid", "parentmessageid", "quoteid"}
	nameNames    = []string{"displayname", "nickname", "fullname", "name", "username", "userlogin", "login", "nick", "realname"}
	titleNames   = []string{"title", "name", "subject", "topic", "groupname", "roomname"}

	messageTable = regexp.MustCompile(`(?i)(message|msg|chat|talk|post|mensaje|shout|dialog|(^|_)pms?($|_))`)
	userTable    = regexp.MustCompile(`(?i)(^|_)(user|member|account|customer|player|login|usuario|benutzer|people|profile)s?$`)
	roomTable    = regexp.MustCompile(`(?i)(^|_)(chat)?_?(room|channel|conversation|thread|group|chat|dialog|topic)s?$`)
	memberTable  = regexp.MustCompile(`(?i)(member|participant|subscri|recipient|room_?user|user_?room|group_?user|user_?group|user_?conversation)`)
)

// Proposal is a mapping for tables that no preset knows.
type Proposal struct {
	Table  string
	Text   string   // the mapping
	Unsure []string // what a person has to look at
}

// Look asks the database for a value of the newest row of a table, "" if there is none.
type Look func(table, column string) string

// Propose makes a mapping of the names and types of columns. quote makes an identifier
// of a name. ok is false where no table looks like one of messages; only is the table to take, "" for the likeliest.
func Propose(c Catalog, only string, quote func(string) string, look Look) (_ Proposal, ok bool) {
	var best *guess
	for i := range c {
		if only != "" && c[i].Name != only {
			continue
		}
		if g := guessTable(&c[i], only != ""); g != nil && (best == nil || g.score > best.score) {
			best = g
		}
	}
	if best == nil {
		return Proposal{}, false
	}
	w := &proposer{g: best, catalog: c, quote: quote, look: look, unsure: []string{}}
	w.message()
	w.rooms()
	w.members()
	w.users()
	return Proposal{best.table.Name, strings.Join(w.lines, "\n") + "\n", w.unsure}, true
}

// guess is what the columns of a table may be.
type guess struct {
	table                                                  *Table
	text, user, to, room, time, edited, deleted, reply, pk *Column
	score                                                  int
}

// guessTable reads a table as one of messages, nil if it is none.
func guessTable(t *Table, wanted bool) *guess {
	g := &guess{table: t}
	texts := func(c *Column) bool { return c.Kind() == Text }
	g.text = t.find(textNames, texts)
	if g.text == nil && wanted {
		g.text = t.longest()
	}
	g.user = t.find(userNames, func(c *Column) bool { return c != g.text && c.Kind() != Time })
	if g.text == nil || g.user == nil {
		return nil
	}
	scalar := func(c *Column) bool { return c != g.text && c != g.user && c.Kind() != Time && c.KeyPart == 0 }
	g.to = t.find(toNames, scalar)
	g.room = t.find(roomNames, scalar)
	g.time = t.find(timeNames, func(c *Column) bool {
		return c != g.text && (c.Kind() == Time || c.Kind() == Integer || c.Kind() == Other)
	})
	if g.time == nil {
		g.time = t.find(timeNames, func(c *Column) bool { return c != g.text && c.Kind() == Text })
	}
	g.edited = t.find(editedNames, func(c *Column) bool { return true })
	g.deleted = t.find(deletedNames, func(c *Column) bool { return true })
	g.reply = t.find(replyNames, scalar)
	g.pk = t.Key()
	for _, part := range []struct {
		there  bool
		points int
	}{{messageTable.MatchString(t.Name), 4}, {g.room != nil, 3}, {g.to != nil, 2}, {g.time != nil, 3}, {g.pk != nil, 1}, {userTable.MatchString(t.Name), -6}} {
		if part.there {
			g.score += part.points
		}
	}
	if g.score < 5 && !wanted {
		return nil
	}
	return g
}

// find returns the column with the likeliest name.
func (t *Table) find(names []string, fits func(*Column) bool) *Column {
	for _, name := range names {
		for i := range t.Columns {
			if c := &t.Columns[i]; flat(c.Name) == name && fits(c) {
				return c
			}
		}
	}
	return nil
}

// longest is the column that holds most text.
func (t *Table) longest() (found *Column) {
	for i := range t.Columns {
		if c := &t.Columns[i]; c.Kind() == Text && (found == nil || strings.Contains(c.Type, "text") && !strings.Contains(found.Type, "text")) {
			found = c
		}
	}
	return found
}

// flat is a name without what people write differently.
func flat(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// proposer writes the mapping.
type proposer struct {
	g       *guess
	catalog Catalog
	quote   func(string) string
	look    Look
	lines   []string
	unsure  []string
}

func (w *proposer) header(name string) {
	if len(w.lines) > 0 {
		w.lines = append(w.lines, "")
	}
	w.lines = append(w.lines, name)
}

func (w *proposer) set(name, value string) {
	w.lines = append(w.lines, name+" = "+quoteTOML(value))
}

func (w *proposer) doubt(text string) {
	w.unsure = append(w.unsure, text)
	w.lines = append(w.lines, "# Look at this: "+text)
}

var simpleName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// reserved are names that mean something else in SQL when they are not quoted.
var reserved = []string{"from", "to", "group", "user", "order", "key", "read", "desc", "option", "index", "table", "check", "column", "default", "end", "limit", "like", "when", "where"}

func (w *proposer) name(column string) string {
	if simpleName.MatchString(column) && !slices.Contains(reserved, column) {
		return column
	}
	return w.quote(column)
}

func (w *proposer) message() {
	g := w.g
	w.header("[message]")
	w.set("from", w.name(g.table.Name))
	if g.pk != nil {
		w.set("pk", w.name(g.pk.Name))
	}
	w.room()
	w.set("user", w.name(g.user.Name))
	if g.to != nil && g.room == nil {
		w.set("to", w.name(g.to.Name))
	}
	w.set("text", w.name(g.text.Name))
	w.time()
	if g.edited != nil {
		w.set("edited", w.name(g.edited.Name))
	}
	if g.deleted != nil {
		w.set("deleted", w.deleted(g.deleted))
	}
	if g.reply != nil {
		w.set("reply", "NULLIF("+w.name(g.reply.Name)+", "+map[bool]string{true: "0", false: "''"}[g.reply.Kind() == Integer]+")")
	}
}

func (w *proposer) deleted(c *Column) string {
	if c.Kind() == Time || strings.HasSuffix(flat(c.Name), "at") {
		return w.name(c.Name) + " IS NOT NULL"
	}
	return w.name(c.Name)
}

func (w *proposer) room() {
	g := w.g
	switch {
	case g.room != nil:
		w.set("room", w.name(g.room.Name))
		if g.to != nil {
			w.doubt("the table has a receiver as well (" + g.to.Name + "): are there rows without " + g.room.Name + ", between two users? Then room is " +
				"CASE WHEN … THEN … ELSE dm(" + g.user.Name + ", " + g.to.Name + ") END")
		}
	case g.to != nil:
		w.set("room", "dm("+w.name(g.user.Name)+", "+w.name(g.to.Name)+")")
	default:
		w.set("room", "'chat'")
		w.doubt("no column looks like a room, so everything is in one room, named chat")
	}
}

func (w *proposer) time() {
	c := w.g.time
	if c == nil {
		w.set("unit", "none")
		w.doubt("no column looks like a time: messages follow each other in the order of their keys")
		return
	}
	w.set("time", w.name(c.Name))
	if c.Kind() == Time {
		return
	}
	unit := Unit(w.look(w.g.table.Name, c.Name))
	w.set("unit", unit)
	if unit == "sql" && c.Kind() != Text {
		w.doubt("the unit of " + c.Name + " is not clear, as the table is empty")
	}
}

// Unit is the unit in which a value is a time of these years, "sql" if it is none.
func Unit(value string) string {
	f, err := strconv.ParseFloat(value, 64)
	switch {
	case err != nil:
	case f >= 5e8 && f < 5e9:
		return "s"
	case f >= 5e11 && f < 5e12:
		return "ms"
	case f >= 5e12 && f < 5e13:
		return "1e-4"
	case f >= 5e14 && f < 5e15:
		return "us"
	}
	return "sql"
}

// side finds the table with a name like a pattern whose columns fit.
func (w *proposer) side(pattern *regexp.Regexp, fits func(*Table) bool) *Table {
	var best *Table
	for i := range w.catalog {
		t := &w.catalog[i]
		if t != w.g.table && pattern.MatchString(t.Name) && fits(t) && (best == nil || len(t.Name) < len(best.Name)) {
			best = t
		}
	}
	return best
}

func anyColumn(*Column) bool { return true }

func (w *proposer) rooms() {
	if w.g.room == nil {
		return
	}
	t := w.side(roomTable, func(t *Table) bool { return t.Key() != nil && t.find(titleNames, anyColumn) != nil })
	if t == nil {
		return
	}
	w.header("[[room]]")
	w.set("from", w.name(t.Name))
	w.set("id", w.name(t.Key().Name))
	w.set("title", w.name(t.find(titleNames, anyColumn).Name))
}

func (w *proposer) members() {
	if w.g.room == nil {
		return
	}
	userColumns := userNames[:slices.Index(userNames, "createdby")]
	t := w.side(memberTable, func(t *Table) bool {
		return t.find([]string{flat(w.g.room.Name)}, anyColumn) != nil && t.find(userColumns, anyColumn) != nil
	})
	if t == nil {
		return
	}
	w.header("[[member]]")
	w.set("from", w.name(t.Name))
	w.set("room", w.name(t.find([]string{flat(w.g.room.Name)}, anyColumn).Name))
	w.set("user", w.name(t.find(userColumns, anyColumn).Name))
}

func (w *proposer) users() {
	if w.g.user.Kind() == Text && slices.Contains(nameNames, flat(w.g.user.Name)) {
		w.unsure = append(w.unsure, "messages name their author by "+w.g.user.Name+": whoever changes that name becomes another user")
		return
	}
	t := w.side(userTable, func(t *Table) bool {
		return t.find(nameNames, func(c *Column) bool { return c.Kind() == Text }) != nil && t.Key() != nil
	})
	if t == nil {
		return
	}
	id := t.Key()
	if c := t.Column(w.g.user.Name); c != nil {
		id = c
	}
	w.header("[[user]]")
	w.set("from", w.name(t.Name))
	w.set("id", w.name(id.Name))
	w.set("name", w.name(t.find(nameNames, func(c *Column) bool { return c.Kind() == Text }).Name))
}
