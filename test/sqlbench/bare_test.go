package sqlbench

import (
	"database/sql"
	"strings"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
)

// A bare appender writes the rows of a batch with the driver of the engine alone, in the
// way that costs least: tables, indexes and rows are those of a shard, and each batch is
// one durable transaction in one round trip. Nothing is fenced.
type bare interface{ append(n int) }

func newBare(t testing.TB, e testdb.Engine, dsn string) bare {
	t.Helper()
	must(t, open(t, e, dsn).Close()) // the tables
	if e == testdb.Maria {
		return newBareMaria(t, dsn)
	}
	return newBarePostgres(t, dsn)
}

const (
	messageColumns = "slot, room_id, seq, created_rev, user_id, ts, body, send_key, digest, reply_to, edited, deleted, name"
	roomColumns    = "slot, room_id, title, open, read_only, last_seq, rev, info_rev, members, created, topic, avatar, data, active, archived, deleted, floor"
)

// roomUpdates are the columns of a room that a message changes.
var roomUpdates = []string{"last_seq", "rev", "active"}

type bareMaria struct {
	t   testing.TB
	db  *sql.DB
	r   rows
	pos int64
}

func newBareMaria(t testing.TB, dsn string) *bareMaria {
	t.Helper()
	at := strings.TrimPrefix(dsn, "mysql://")
	login, rest, _ := strings.Cut(at, "@")
	user, password, _ := strings.Cut(login, ":")
	addr, name, _ := strings.Cut(rest, "/")
	c := mysqldriver.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = user, password, "tcp", addr, name
	c.MultiStatements, c.InterpolateParams = true, true
	connector, err := mysqldriver.NewConnector(c)
	must(t, err)
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	_, err = db.Exec("INSERT INTO roomtide_lanes (lane, epoch, position) VALUES (0, 1, 0)")
	must(t, err)
	return &bareMaria{t: t, db: db}
}

func (b *bareMaria) append(n int) {
	ms, changed := b.r.next(n)
	b.pos++
	var text strings.Builder
	var args []any
	text.WriteString("BEGIN; UPDATE roomtide_lanes SET position = position + 1 WHERE lane = 0; INSERT INTO roomtide_messages (" + messageColumns + ") VALUES ")
	tuples(&text, len(ms), 13)
	for i := range ms {
		m := &ms[i]
		args = append(args, m.Room.Slot(), string(m.Room), int64(m.Seq), int64(m.Created), string(m.User), m.Time, m.Text, m.Key, m.Digest, 0, 0, 0, m.Name)
	}
	text.WriteString("; INSERT INTO roomtide_rooms (" + roomColumns + ") VALUES ")
	tuples(&text, len(changed), 17)
	for i := range changed {
		args = append(args, roomValues(&changed[i])...)
	}
	text.WriteString(" ON DUPLICATE KEY UPDATE ")
	for i, c := range roomUpdates {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(c + " = VALUES(" + c + ")")
	}
	text.WriteString("; INSERT INTO roomtide_outbox (lane, position, body) VALUES (0, ?, ?); COMMIT")
	_, err := b.db.Exec(text.String(), append(args, b.pos, outbox(n))...)
	must(b.t, err)
}

func tuples(b *strings.Builder, n, width int) {
	one := "(" + strings.Repeat("?,", width-1) + "?)"
	b.WriteString(one + strings.Repeat(","+one, n-1))
}

func roomValues(r *chat.Room) []any {
	return []any{r.ID.Slot(), string(r.ID), r.Title, 0, 0, int64(r.LastSeq), int64(r.Rev), 0, r.Members, 0, "", "", []byte{}, r.Active, 0, 0, 0}
}

type barePostgres struct {
	t    testing.TB
	conn *pgx.Conn
	r    rows
	pos  int64
}

func newBarePostgres(t testing.TB, dsn string) *barePostgres {
	t.Helper()
	conn, err := pgx.Connect(ctx, dsn)
	must(t, err)
	t.Cleanup(func() { conn.Close(ctx) })
	_, err = conn.Exec(ctx, "INSERT INTO roomtide_lanes (lane, epoch, position) VALUES (0, 1, 0)")
	must(t, err)
	return &barePostgres{t: t, conn: conn}
}

func (b *barePostgres) append(n int) {
	ms, changed := b.r.next(n)
	b.pos++
	var slots, seqs, times, digests []int64
	var ids, users, texts, keys, names []string
	for i := range ms {
		m := &ms[i]
		slots, seqs, times, digests = append(slots, int64(m.Room.Slot())), append(seqs, int64(m.Seq)), append(times, m.Time), append(digests, m.Digest)
		ids, users, texts, keys, names = append(ids, string(m.Room)), append(users, string(m.User)), append(texts, m.Text), append(keys, m.Key), append(names, m.Name)
	}
	batch := &pgx.Batch{}
	batch.Queue("UPDATE roomtide_lanes SET position = position + 1 WHERE lane = 0")
	batch.Queue("INSERT INTO roomtide_messages ("+messageColumns+`)
		SELECT k.slot, k.room, k.seq, k.seq, k.usr, k.ts, k.body, k.send_key, k.digest, 0, 0, 0, k.name
		FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::text[])
		AS k(slot, room, seq, usr, ts, body, send_key, digest, name)`, slots, ids, seqs, users, times, texts, keys, digests, names)
	var roomSlots, lasts, actives []int64
	var roomIDs []string
	for i := range changed {
		r := &changed[i]
		roomSlots, lasts, actives, roomIDs = append(roomSlots, int64(r.ID.Slot())), append(lasts, int64(r.LastSeq)), append(actives, r.Active), append(roomIDs, string(r.ID))
	}
	sets := make([]string, len(roomUpdates))
	for i, c := range roomUpdates {
		sets[i] = c + " = excluded." + c
	}
	batch.Queue("INSERT INTO roomtide_rooms ("+roomColumns+`)
		SELECT k.slot, k.room, 'A room', 0, 0, k.seq, k.seq, 0, 10, 0, '', '', '', k.active, 0, 0, 0
		FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) AS k(slot, room, seq, active)
		ON CONFLICT (slot, room_id) DO UPDATE SET `+strings.Join(sets, ", "), roomSlots, roomIDs, lasts, actives)
	batch.Queue("INSERT INTO roomtide_outbox (lane, position, body) VALUES (0, $1, $2)", b.pos, outbox(n))
	must(b.t, b.conn.SendBatch(ctx, batch).Close())
}
