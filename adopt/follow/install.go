package follow

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// Making and removing a trigger waits until every transaction has ended that uses the
// table, and all others wait behind it: therefore it waits for some seconds only.
var impatient = map[source.Engine]string{
	source.MySQL:    "SET SESSION lock_wait_timeout = 5",
	source.Postgres: "SET lock_timeout = '5s'",
}

// present lists the triggers that this package has made for the table of changes of this
// database and schema: name and table. Others may be seen, and are those of other moves.
var present = map[source.Engine]string{
	source.MySQL: "SELECT trigger_name, CONCAT(event_object_schema, '.', event_object_table) FROM information_schema.triggers " +
		"WHERE trigger_name LIKE 'roomtide\\_%' AND LOCATE(CONCAT('`', DATABASE(), '`.`roomtide_changes`'), action_statement) > 0",
	source.Postgres: "SELECT t.tgname, n.nspname || '.' || c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace " +
		"JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal AND t.tgname LIKE 'roomtide\\_%' AND p.pronamespace = current_schema()::regnamespace",
}

// Install makes the table of changes and the triggers that are missing. Nothing changes
// for what is there already, so that a follower may be at work. Triggers that belong to
// another configuration are removed.
func Install(ctx context.Context, c Config) error {
	s, err := dial(ctx, c, true)
	if err != nil {
		return err
	}
	defer s.db.Close()
	all, err := triggersOf(ctx, s)
	if err != nil {
		return err
	}
	conn, err := administrate(ctx, s)
	if err != nil {
		return err
	}
	defer conn.Close()
	there, err := pairs(ctx, conn, "triggers", present[s.engine])
	if err != nil {
		return err
	}
	var names []string
	for _, m := range madeFor(s.engine, all) {
		names = append(names, m.trigger)
		if _, ok := there[m.trigger]; ok {
			continue
		}
		if err := execute(ctx, conn, m.text); err != nil {
			return err
		}
	}
	for name, table := range there {
		if slices.Contains(names, name) {
			continue
		}
		if err := execute(ctx, conn, dropTrigger(s.engine, name, table)); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes the triggers and the table of changes, with the changes in it, and returns
// what it has removed.
func Remove(ctx context.Context, c Config) (removed []string, err error) {
	s, err := dial(ctx, c, true)
	if err != nil {
		return nil, err
	}
	defer s.db.Close()
	if impatient[s.engine] == "" {
		return nil, nil
	}
	conn, err := administrate(ctx, s)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	there, err := pairs(ctx, conn, "triggers", present[s.engine])
	if err != nil {
		return nil, err
	}
	functions := map[string]bool{}
	for name, table := range there {
		if err := execute(ctx, conn, dropTrigger(s.engine, name, table)); err != nil {
			return removed, err
		}
		removed = append(removed, "trigger "+name+" of "+table)
		functions[name[:strings.LastIndex(name, "_")]] = true
	}
	slices.Sort(removed)
	if s.engine == source.Postgres {
		for name := range functions {
			if err := execute(ctx, conn, "DROP FUNCTION IF EXISTS "+source.Postgres.QuotePath(name)+"()"); err != nil {
				return removed, err
			}
		}
	}
	if _, err := describe(ctx, s.db, s.engine, changeTable); chat.KindOf(err) == chat.NotFound {
		return removed, nil
	}
	return append(removed, "table "+changeTable), execute(ctx, conn, "DROP TABLE IF EXISTS "+changeTable)
}

// administrate is a connection of its own, which is given up afterwards: its settings
// are none of others.
func administrate(ctx context.Context, c *session) (*sql.Conn, error) {
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return nil, fail("triggers", "", err)
	}
	if _, err := conn.ExecContext(ctx, impatient[c.engine]); err != nil {
		conn.Close()
		return nil, fail("triggers", "", err)
	}
	return conn, nil
}

func dropTrigger(e source.Engine, name, table string) string {
	if e == source.Postgres {
		return "DROP TRIGGER IF EXISTS " + e.QuotePath(name) + " ON " + e.QuotePath(table)
	}
	schema, _, _ := strings.Cut(table, ".")
	return "DROP TRIGGER IF EXISTS " + e.QuotePath(schema+"."+name)
}

func execute(ctx context.Context, conn *sql.Conn, statement string) error {
	_, err := conn.ExecContext(ctx, statement)
	if err == nil {
		return nil
	}
	var my *mysql.MySQLError
	var pg *pgconn.PgError
	text := ""
	switch {
	case errors.As(err, &my) && my.Number == 1205, errors.As(err, &pg) && pg.Code == "55P03":
		return &chat.Error{Kind: chat.Busy, Op: "follow.triggers", Err: err,
			Text: "the table is in use by a long transaction, and its writers would have to wait: try again in a quiet moment; what is done stays"}
	case errors.As(err, &my) && my.Number == 1419:
		text = "the server makes triggers for administrators only, as its binary log is on: let one run the statements of \"roomtide adopt triggers print\", " +
			"or SET GLOBAL log_bin_trust_function_creators = 1"
	case errors.As(err, &my) && my.Number == 1235:
		text = "this version of the server has one trigger for each table and event, and the table has one already: follow it by polling, or upgrade the server"
	case errors.As(err, &my) && (my.Number == 1142 || my.Number == 1044 || my.Number == 1227), errors.As(err, &pg) && pg.Code == "42501":
		text = "the user of the source may not make triggers: GRANT it TRIGGER and CREATE, or let an administrator run the statements of \"roomtide adopt triggers print\""
	default:
		return fail("triggers", "", err)
	}
	return &chat.Error{Kind: chat.Forbidden, Op: "follow.triggers", Text: text, Err: err}
}
