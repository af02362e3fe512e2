package mysql

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store/sqldb"
)

// prepare connects, looks at the server, and brings a schema up to date.
func (db *database) prepare(ctx context.Context, schema string, create bool) ([]sqldb.Finding, error) {
	s, err := db.look(ctx)
	if err != nil {
		return nil, db.explain(err)
	}
	if err := db.usable(s); err != nil {
		return nil, err
	}
	made, err := db.hasTable(ctx, sqldb.VersionTable(db.d, schema))
	if err != nil {
		return nil, db.explain(err)
	}
	if !made && !create {
		return nil, &chat.Error{Kind: chat.NotFound, Op: "mysql.open", Subject: db.o.Name,
			Err: fmt.Errorf("the database %s has no tables of a %s with the prefix %s", db.name, schema, db.o.Prefix)}
	}
	findings := judge(s)
	if err := db.o.Judge(findings); err != nil {
		return nil, err
	}
	if db.o.Look {
		return findings, nil
	}
	if err := db.migrate(ctx, schema); err != nil {
		return nil, db.explain(err)
	}
	if err := db.rights(ctx, schema); err != nil {
		return nil, err
	}
	foreign, err := db.foreignTables(ctx)
	if err == nil && foreign != nil {
		findings = append(findings, foreign...)
		err = db.o.Judge(foreign)
	}
	return findings, err
}

// explain makes an error of opening say what is to be done.
func (db *database) explain(err error) error {
	text := ""
	switch number(err) {
	case 1045, 1698:
		text = "the server refuses the user or the password of the DSN"
	case errNoDatabase:
		text = fmt.Sprintf("the server has no database %s: make it with CREATE DATABASE, or correct the DSN", db.name)
	case 1044:
		text = fmt.Sprintf("the user of the DSN has no rights in the database %s: give them with GRANT", db.name)
	case 1142, 1143, 1227, 1370:
		text = "a right is missing: " + refused(err)
	default:
		return err
	}
	return db.o.Invalid(text, err)
}

// refused is what the server says of a right that is missing: the command and the table.
func refused(err error) string {
	text := err.Error()
	if _, after, ok := strings.Cut(text, ": "); ok {
		text = after
	}
	return text
}

func (db *database) hasTable(ctx context.Context, table string) (has bool, err error) {
	err = db.Ask(ctx, sqldb.Question{
		Text: "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
		Args: []any{table}, Row: func(s sqldb.Scanner) error { has = true; return s.Scan(new(string)) },
	})
	return has, err
}

// foreignTables looks for tables that were moved to another storage engine.
func (db *database) foreignTables(ctx context.Context) (found []sqldb.Finding, err error) {
	err = db.Ask(ctx, sqldb.Question{
		Text: "SELECT table_name, coalesce(engine, '') FROM information_schema.tables " +
			"WHERE table_schema = DATABASE() AND table_name LIKE ? AND table_type = 'BASE TABLE' AND coalesce(engine, '') <> 'InnoDB'",
		Args: []any{strings.ReplaceAll(db.o.Prefix, "_", `\_`) + "%"},
		Row: func(s sqldb.Scanner) error {
			var table, engine string
			err := s.Scan(&table, &engine)
			found = append(found, sqldb.Finding{Setting: "the engine of table " + table, Value: engine, Loses: true,
				Risk: "it has no transactions", Fix: "ALTER TABLE " + table + " ENGINE=InnoDB"})
			return err
		},
	})
	return found, err
}

// lockName is that of a lock of the whole server: at most 64 characters.
func lockName(db *database, what string) string {
	sum := sha256.Sum256([]byte(db.name + "\x00" + db.o.Prefix))
	return "roomtide:" + what + ":" + hex.EncodeToString(sum[:16])
}

// migrate holds a lock, so that of nodes that start together one migrates and the
// others find it done.
func (db *database) migrate(ctx context.Context, schema string) error {
	c, err := db.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close() // gives the lock back, also if the statement below cannot
	name := lockName(db, "migrate")
	var got sql.NullInt64
	if err := c.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", name, int64(migrateWait/time.Second)).Scan(&got); err != nil {
		return err
	}
	if got.Int64 != 1 {
		return &chat.Error{Kind: chat.Unavailable, Op: "mysql.open", Subject: db.o.Name, Text: "another node is changing the schema"}
	}
	// On a pool of its own: that of the readers may have one connection, which waits here.
	pool := sql.OpenDB(db.connector)
	err = sqldb.Migrate(ctx, pool, goose.DialectMySQL, db.d, schemas, "schema/"+schema, db.o.Log)
	_, e := c.ExecContext(ctx, "DO RELEASE_LOCK(?)", name)
	return firstErr(err, e, pool.Close())
}

// migrateWait is how long a node waits for another one that migrates.
const migrateWait = 25 * time.Second

// rights tries what is done later, on no row.
func (db *database) rights(ctx context.Context, schema string) error {
	table := map[string]string{"shard": "{meta} SET value = '' WHERE name", "control": "{nodes} SET until = 0 WHERE node"}[schema]
	name, _, _ := strings.Cut(table, " ")
	column := table[strings.LastIndex(table, " ")+1:]
	for _, text := range []string{
		"UPDATE " + table + " = '' AND 1 = 0",
		"DELETE FROM " + name + " WHERE " + column + " = '' AND 1 = 0",
		"INSERT INTO " + name + " SELECT * FROM " + name + " WHERE 1 = 0",
	} {
		err := db.Exec(ctx, sqldb.Statement{Text: text})
		if err != nil && chat.KindOf(err) != chat.ReadOnly {
			return db.explain(err)
		}
	}
	return nil
}

// claim is the lock by which a node has a shard for itself, held by the connection that
// writes: the server gives it back when the connection ends. It is a courtesy. What
// keeps a second owner from writing is the fence.
type claim struct {
	o    *sqldb.Options
	name string
}

// The server ends a claim whose node does not use its connection for so long.
const (
	claimSeconds = "60"
	keepEvery    = 15 * time.Second
)

func (cl *claim) take(ctx context.Context, w *writer) error {
	if err := w.conn.exec(ctx, "SET SESSION wait_timeout = "+claimSeconds, nil); err != nil {
		return err
	}
	var got int64
	// A connection before this one, which was just ended, may take a moment.
	if err := w.one(ctx, "SELECT coalesce(GET_LOCK(?, 2), 0)", &got, cl.name); err != nil {
		return err
	}
	if got != 1 {
		return cl.o.Claimed(ctx, w.db)
	}
	return cl.o.Alone(ctx, w.db) // nodes that share the shard have no lock, but leases
}

// unclaimed is the error of Claimed if a node has the shard for itself. The lock cannot
// be shared: it is held for a moment, to see that it is free.
func (db *database) unclaimed(ctx context.Context) error {
	name := lockName(db, "shard")
	var got int64
	err := db.Ask(ctx,
		// A connection that was just ended, of this node when it was alone, may take a moment.
		sqldb.Question{Text: "SELECT coalesce(GET_LOCK(?, 2), 0)", Args: []any{name}, Row: func(s sqldb.Scanner) error { return s.Scan(&got) }},
		sqldb.Question{Text: "SELECT coalesce(RELEASE_LOCK(?), 0)", Args: []any{name}, Row: func(s sqldb.Scanner) error { return s.Scan(new(int64)) }})
	if err == nil && got != 1 {
		err = db.o.Claimed(ctx, db)
	}
	return err
}

// checkTables has the server look at the structure of the tables.
func (db *database) checkTables(ctx context.Context) (found []string, err error) {
	var tables []string
	err = db.Ask(ctx, sqldb.Question{
		Text: "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE ? AND engine = 'InnoDB' ORDER BY table_name",
		Args: []any{strings.ReplaceAll(db.o.Prefix, "_", `\_`) + "%"},
		Row: func(s sqldb.Scanner) error {
			var t string
			err := s.Scan(&t)
			tables = append(tables, t)
			return err
		},
	})
	for _, t := range tables {
		if err != nil {
			break
		}
		err = db.Ask(ctx, sqldb.Question{Text: "CHECK TABLE `" + t + "` QUICK", Row: func(s sqldb.Scanner) error {
			var table, op, kind, text string
			err := s.Scan(&table, &op, &kind, &text)
			if err == nil && (kind == "error" || kind == "status" && text != "OK") {
				found = append(found, "table "+t+": "+text)
			}
			return err
		}})
	}
	return found, err
}
