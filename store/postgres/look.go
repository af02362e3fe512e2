package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store/sqldb"
)

// oldest is the oldest version that has what is used here.
const oldest = 130000

// clockSlack is how far the clocks of node and database may be apart.
const clockSlack = 5 * time.Second

// looked is what a database says of itself.
type looked struct {
	settings map[string]string
	schema   string // in which tables are made, empty if there is none
	standby  bool
	mayMake  bool // tables in the schema
	tables   bool // those of this program are there
	clock    time.Duration
	findings []sqldb.Finding
}

// lookedAt are the settings that are looked at.
var lookedAt = []string{"server_version_num", "server_version", "server_encoding", "synchronous_commit", "fsync",
	"full_page_writes", "default_transaction_read_only", "data_checksums"}

// look asks the database for what decides whether it can be used, and how safely. An
// error says what has to change.
func look(ctx context.Context, o *sqldb.Options, d *database, schema string) (*looked, error) {
	l := &looked{settings: map[string]string{}}
	var standby, mayMake, tables, clock int64
	begin := time.Now()
	err := d.engine.Ask(ctx,
		sqldb.Question{
			Text: "SELECT n, coalesce(current_setting(n, true), '') FROM unnest(?::text[]) AS s(n)", Args: []any{lookedAt},
			Row: func(s sqldb.Scanner) error {
				var name, value string
				err := s.Scan(&name, &value)
				l.settings[name] = value
				return err
			},
		},
		sqldb.Question{
			Text: `SELECT coalesce(current_schema(), ''), pg_is_in_recovery()::int::bigint,
				coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)::int::bigint,
				(to_regclass(?) IS NOT NULL)::int::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint`,
			Args: []any{sqldb.VersionTable(d.engine.dialect, schema)},
			Row:  func(s sqldb.Scanner) error { return s.Scan(&l.schema, &standby, &mayMake, &tables, &clock) },
		})
	if err != nil {
		return nil, err
	}
	l.standby, l.mayMake, l.tables = standby != 0, mayMake != 0, tables != 0
	middle := begin.Add(time.Since(begin) / 2)
	l.clock = time.UnixMilli(clock).Sub(middle).Round(time.Millisecond)
	if err := l.refuse(o); err != nil {
		return nil, err
	}
	l.find(d)
	return l, nil
}

// refuse is the error for a database that cannot be used.
func (l *looked) refuse(o *sqldb.Options) error {
	var version int
	_, _ = fmt.Sscan(l.settings["server_version_num"], &version) // 0 is too old
	switch {
	case version < oldest:
		return o.Invalid(fmt.Sprintf("PostgreSQL %s is too old: 13 or newer is needed", l.settings["server_version"]), nil)
	case l.settings["server_encoding"] != "UTF8":
		return o.Invalid(fmt.Sprintf("the encoding of the database is %s: CREATE DATABASE … ENCODING 'UTF8'", l.settings["server_encoding"]), nil)
	case l.standby:
		return &chat.Error{Kind: chat.ReadOnly, Op: "postgres.open", Subject: o.Name, Text: "the server is a standby, which does not write: use the address of the primary"}
	case l.settings["default_transaction_read_only"] == "on":
		return &chat.Error{Kind: chat.ReadOnly, Op: "postgres.open", Subject: o.Name, Text: "default_transaction_read_only is on, so that nothing can be written: set it to off"}
	case l.schema == "":
		return o.Invalid("search_path names no schema that is there: ALTER ROLE … SET search_path", nil)
	case !l.tables && !l.mayMake:
		return o.Invalid(fmt.Sprintf("the user may not make tables: GRANT CREATE ON SCHEMA %s", l.schema), nil)
	}
	return nil
}

// find notes what is not as it should be.
func (l *looked) find(d *database) {
	for _, f := range []sqldb.Finding{
		{Setting: "fsync", Value: "off", Risk: "a crash of the machine can damage the database", Fix: "set it to on", Loses: true},
		{Setting: "full_page_writes", Value: "off", Risk: "a crash of the machine can damage the database", Fix: "set it to on", Loses: true},
		{Setting: "synchronous_commit", Value: "off", Risk: "a crash of the server loses messages that were acknowledged", Fix: "set it to on (ALTER ROLE … SET synchronous_commit = on)", Loses: true},
	} {
		if l.settings[f.Setting] == f.Value {
			l.findings = append(l.findings, f)
		}
	}
	if l.clock.Abs() > clockSlack {
		l.findings = append(l.findings, sqldb.Finding{
			Setting: "clock", Value: fmt.Sprintf("%v from that of this machine", l.clock),
			Risk: "times that the two write do not agree", Fix: "let both follow the same time servers",
		})
	}
	if d.pooled {
		l.findings = append(l.findings, sqldb.Finding{
			Setting: "default_query_exec_mode", Value: "set, for a pooler", Risk: "another node that opens the shard is not refused at its start",
			Fix: "let the DSN name the server itself if it can be reached",
		})
	}
}

// checkRights returns an error that names the rights which are missing on the tables.
func checkRights(ctx context.Context, o *sqldb.Options, d *database, schema string) error {
	var missing []string
	var names []string
	for _, t := range tables[schema] {
		names = append(names, d.engine.dialect.Prefix+t)
	}
	err := d.engine.Ask(ctx, sqldb.Question{
		Text: `SELECT t, r FROM unnest(?::text[]) AS t CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r
			WHERE NOT coalesce(has_table_privilege(to_regclass(t), r), false)`,
		Args: []any{names},
		Row: func(s sqldb.Scanner) error {
			var table, right string
			err := s.Scan(&table, &right)
			missing = append(missing, right+" ON "+table)
			return err
		},
	})
	if err != nil || missing == nil {
		return err
	}
	slices.Sort(missing)
	return o.Invalid("rights are missing: GRANT "+strings.Join(missing, ", "), nil)
}

// tables are those of each schema.
var tables = map[string][]string{
	"shard": {"meta", "rooms", "members", "messages", "reactions", "reaction_counts", "online", "user_rooms", "users",
		"user_access", "devices", "push_settings", "push_jobs", "push_owners", "user_nodes", "lanes", "leases", "taken", "outbox", "cursors"},
	"control": {"deployment", "slot_maps", "api_keys", "nodes", "moves", "levels", "records", "adoption"},
}
