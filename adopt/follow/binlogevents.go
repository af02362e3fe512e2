package follow

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/google/uuid"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// logged is a table whose row events are read.
type logged struct {
	table *described
	value column // holds the message's key
	own   bool   // it holds the messages; else it is a watched one
}

// loggedTables are the followed tables, by schema.table.
func loggedTables(ctx context.Context, c *session) (map[string]*logged, error) {
	var home string
	if err := c.db.QueryRowContext(ctx, "SELECT COALESCE(DATABASE(), '')").Scan(&home); err != nil {
		return nil, fail("binlog", "", err)
	}
	all, err := c.describeAll(ctx)
	tables := map[string]*logged{}
	for _, f := range all {
		schema, name, qualified := strings.Cut(f.table.name, ".")
		if !qualified {
			schema, name = home, f.table.name
		}
		tables[strings.ToLower(schema+"."+name)] = &logged{f.table, f.key, !f.watched}
	}
	return tables, err
}

func (l *Log) logged(t *replication.TableMapEvent) *logged {
	return l.tables[strings.ToLower(string(t.Schema)+"."+string(t.Table))]
}

// decode reads the rows of followed tables only.
func (l *Log) decode(e *replication.RowsEvent, data []byte) error {
	pos, err := e.DecodeHeader(data)
	if err != nil || l.logged(e.Table) == nil {
		return err
	}
	return e.DecodeData(pos, data)
}

// take reads one event. A position is one behind a whole transaction.
func (l *Log) take(ctx context.Context, e *replication.BinlogEvent) error {
	if e.Header.Timestamp > 0 && e.Header.EventType != replication.HEARTBEAT_EVENT {
		l.seenAt.Store(time.Unix(int64(e.Header.Timestamp), 0).Add(-l.server.ahead).UnixNano())
	}
	if e.Header.EventType == replication.XA_PREPARE_LOG_EVENT {
		return l.commit(e.Header.LogPos)
	}
	switch event := e.Event.(type) {
	case *replication.RotateEvent:
		l.file = string(event.NextLogName)
		l.position.move(l.file, uint32(event.Position))
	case *replication.HeartbeatEvent:
		l.seenAt.Store(time.Now().UnixNano())
	case *replication.MariadbGTIDEvent:
		id := event.GTID
		l.open.began = !event.IsStandalone()
		l.open.gtid = func(set gomysql.GTIDSet) error { return set.(*gomysql.MariadbGTIDSet).AddSet(&id) }
	case *replication.GTIDEvent:
		l.open.gtid = mysqlGTID(event)
	case *replication.GtidTaggedLogEvent:
		l.open.gtid = mysqlGTID(&event.GTIDEvent)
	case *replication.TransactionPayloadEvent:
		for _, inner := range event.Events {
			inner.Header.LogPos = e.Header.LogPos
			if err := l.take(ctx, inner); err != nil {
				return err
			}
		}
	case *replication.RowsEvent:
		l.rows(event)
	case *replication.XIDEvent:
		return l.commit(e.Header.LogPos)
	case *replication.QueryEvent:
		return l.query(ctx, event, e.Header.LogPos)
	case *replication.ExecuteLoadQueryEvent:
		l.c.missed("a connection has loaded a file (LOAD DATA) with binlog_format=STATEMENT")
	}
	return nil
}

func mysqlGTID(e *replication.GTIDEvent) func(gomysql.GTIDSet) error {
	if e.GNO == 0 {
		return nil // anonymous: the server gives none
	}
	sid, tag, number := e.SID, e.Tag, e.GNO
	return func(set gomysql.GTIDSet) error {
		id, err := uuid.FromBytes(sid)
		if err == nil {
			set.(*gomysql.MysqlGTIDSet).AddGTIDWithTag(id, tag, number)
		}
		return err
	}
}

func (p *logPosition) move(file string, pos uint32) { p.File, p.Pos = file, pos }

// commit ends a transaction: its keys are pending, the position is behind it.
func (l *Log) commit(pos uint32) error {
	if set := l.position.set; set != nil && l.open.gtid != nil {
		if err := l.open.gtid(set); err != nil {
			return fail("binlog", l.c.Tables[0].Name, err)
		}
	}
	l.position.move(l.file, pos)
	if len(l.open.keys) > 0 {
		l.until = logPlace{l.file, pos}
		if len(l.pending) == 0 || !l.server.tells() {
			l.read = time.Now()
		}
	}
	l.pending = append(l.pending, l.open.keys...)
	l.open = transaction{}
	return nil
}

// rows takes the keys of changed rows: of updates before and after.
func (l *Log) rows(e *replication.RowsEvent) {
	t := l.logged(e.Table)
	if t == nil {
		return
	}
	for _, row := range e.Rows {
		key, ok := t.key(row)
		switch {
		case ok && key != "":
			l.open.keys = append(l.open.keys, source.Key(t.value.prefix)+key)
		case !ok && t.own:
			l.c.missed("an event of the table " + t.table.name + " has no key where one is expected: its structure was another")
			return
		}
	}
}

// key is the message's key in a row, "" if the row belongs to none. It is not ok when
// the row has another form than the table has now.
func (t *logged) key(row []any) (source.Key, bool) {
	if t.value.index >= len(row) {
		return "", false
	}
	switch v := row[t.value.index].(type) {
	case nil:
		return "", !t.own
	case string:
		return t.textKey(v), !t.value.integer
	case []byte:
		return t.textKey(string(v)), !t.value.integer
	case int8:
		return t.integerKey(int64(v), 8), t.value.integer
	case int16:
		return t.integerKey(int64(v), 16), t.value.integer
	case int32:
		bits := 32
		if strings.HasPrefix(strings.ToLower(t.value.typ), "mediumint") {
			bits = 24
		}
		return t.integerKey(int64(v), bits), t.value.integer
	case int64:
		return t.integerKey(v, 64), t.value.integer
	case uint8, uint16, uint32, uint64, int:
		return source.Key(fmt.Sprint(v)), t.value.integer
	}
	return "", false
}

// integerKey undoes the sign that an event does not tell from the highest bit.
func (t *logged) integerKey(v int64, bits int) source.Key {
	if t.value.unsigned && v < 0 {
		if bits == 64 {
			return source.Key(strconv.FormatUint(uint64(v), 10))
		}
		v += 1 << bits
	}
	return source.Key(strconv.FormatInt(v, 10))
}

// textKey is the key as the source's text: of BINARY(n), events leave zero bytes at the
// end out.
func (t *logged) textKey(v string) source.Key {
	if !t.value.binary {
		return source.Key(v)
	}
	if n := int(t.value.length) - len(v); n > 0 && strings.HasPrefix(strings.ToLower(t.value.typ), "binary") {
		v += strings.Repeat("\x00", n)
	}
	return source.Key(hex.EncodeToString([]byte(v)))
}

// query reads a statement of the log: the ends of transactions, changes of structure,
// and changes of rows by statements, which name no keys. Once a transaction has begun,
// nothing else ends it.
func (l *Log) query(ctx context.Context, e *replication.QueryEvent, pos uint32) error {
	v := l.statement(string(e.Query))
	switch {
	case v == begins:
		l.open.began = true
	case v == ends || !l.open.began:
		if err := l.commit(pos); err != nil || v != changesStructure {
			return err
		}
		return l.restructured(ctx)
	}
	return nil
}

// statement judges a statement, and has all rows compared if it has changed some.
func (l *Log) statement(query string) verdict {
	v := judge(query, func(name string) bool {
		for full := range l.tables {
			if s, table, _ := strings.Cut(full, "."); table == name || s+"."+table == name {
				return true
			}
		}
		return false
	})
	if v == changesRows || v == emptiesTable || v == endsPrepared {
		l.c.missed(map[verdict]string{
			changesRows:  "a connection writes with binlog_format=STATEMENT or MIXED, so that the binary log does not name the rows",
			emptiesTable: "a table was emptied with TRUNCATE", endsPrepared: "a transaction was prepared and committed later (XA)",
		}[v])
	}
	return v
}

// restructured compares the structure of the tables with the one at the start. If it is
// another, the follower stops behind the change.
func (l *Log) restructured(ctx context.Context) error {
	for _, t := range l.tables {
		now, err := describe(ctx, l.c.db, l.c.engine, t.table.name)
		if chat.KindOf(err) != chat.NotFound && err != nil {
			return err
		}
		if err == nil && now.shape() == t.table.shape() {
			continue
		}
		l.failed = &chat.Error{Kind: chat.Conflict, Op: "follow.binlog", Subject: t.table.name,
			Text: "the structure of the table " + t.table.name + " was changed: see with \"roomtide adopt check\" whether the mapping fits still, and start again; nothing is missed"}
	}
	return nil
}
