package adopt

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"strings"

	"github.com/roomtide/roomtide/adopt/decode"
	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// Files is a move as its files say it: the mapping and, beside it, the state.
type Files struct {
	Mapping *mapping.Mapping
	Node    *Node
	State   *State
	secret  func(string) (string, bool)
}

// ReadFiles reads the mapping at path and opens the state beside it. secret returns
// environment variables.
func ReadFiles(ctx context.Context, path string, secret func(string) (string, bool)) (*Files, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, chat.E(chat.Invalid, "the mapping cannot be read: "+err.Error()+` ("roomtide adopt init" writes one)`)
	}
	m, err := mapping.Parse(path, text)
	if err != nil {
		return nil, err
	}
	if err := m.Check(secret); err != nil {
		return nil, err
	}
	variable := m.Roomtide.KeyEnv
	if variable == "" {
		variable = "ROOMTIDE_KEY"
	}
	key, _ := secret(variable)
	node, err := NewNode(m.Roomtide.URL, key)
	if err != nil {
		return nil, err
	}
	state, err := OpenState(ctx, strings.TrimSuffix(path, ".toml")+".state")
	if err != nil {
		return nil, err
	}
	return &Files{m, node, state, secret}, nil
}

// Close closes the state.
func (f *Files) Close() error {
	f.Node.Close()
	return f.State.Close()
}

// Open opens the source, and the old table for writing if the mapping can be turned around.
// kind is how the source is followed, empty: the best that it allows. close ends it all.
func (f *Files) Open(ctx context.Context, kind follow.Kind, log *slog.Logger) (_ *Config, close func(), err error) {
	src, err := source.Open(ctx, f.Mapping, source.Options{Secret: f.secret})
	if err != nil {
		return nil, nil, err
	}
	cfg := &Config{Mapping: f.Mapping, Source: src, Node: f.Node, State: f.State, Log: log}
	closers := []func(){func() { src.Close() }}
	close = func() {
		for _, c := range closers {
			c()
		}
	}
	cfg.Engine = src.Engine()
	cfg.Key, cfg.MakeKeys = src.Tables()[0].Key, !src.Tables()[0].Integer
	cfg.Follow = Following(f.Mapping, src, f.secret)
	cfg.Follow.Kind, cfg.Follow.Log = kind, log
	if cfg.Follow.Kind, err = f.kind(ctx, cfg.Follow); err != nil {
		close()
		return nil, nil, err
	}
	writer, readonly := f.writer(ctx)
	if cfg.Writer, cfg.Readonly = writer, readonly; writer != nil {
		closers = append(closers, func() { writer.Close() })
	}
	return cfg, close, nil
}

// writer is a pool that may write the old table; nil: why there is none.
func (f *Files) writer(ctx context.Context) (*sql.DB, string) {
	in, err := invert(f.Mapping)
	if err != nil {
		return nil, chat.Public(err).Text
	}
	dsn := f.Mapping.Source.DSN
	if f.Mapping.Mirror.DSN != "" {
		dsn = f.Mapping.Mirror.DSN
	}
	if source.IsFiles(dsn) {
		return nil, "files are copied, and nothing is written back"
	}
	db, engine, err := source.Dial(address(f.Mapping, dsn), f.secret, true)
	if err != nil {
		return nil, chat.Public(err).Text
	}
	db.SetMaxOpenConns(4)
	if why := noTransactions(ctx, db, engine, in.table); why != "" {
		db.Close()
		return nil, why
	}
	return db, ""
}

// noTransactions says that a table has none, as those of MyISAM: then a row could be written
// and its row of the map be lost, and the message would be there twice.
func noTransactions(ctx context.Context, db *sql.DB, engine source.Engine, table string) string {
	if engine != source.MySQL {
		return ""
	}
	schema, name, qualified := strings.Cut(table, ".")
	if !qualified {
		schema, name = "", table
	}
	var kind, has string
	err := db.QueryRowContext(ctx, `SELECT t.ENGINE, COALESCE(e.TRANSACTIONS, 'NO') FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
		WHERE t.TABLE_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) AND t.TABLE_NAME = ?`, schema, name).Scan(&kind, &has)
	switch {
	case errors.Is(err, sql.ErrNoRows): // a view: that of the table below is not known
		return ""
	case err != nil:
		return "what is said in Roomtide is not written into the old table: what kind of table it is cannot be read: " + err.Error()
	case has != "YES":
		return "what is said in Roomtide is not written into the old table: it is of the kind " + kind + ", which has no transactions; ALTER TABLE " + table + " ENGINE=InnoDB"
	}
	return ""
}

// Following is which tables of a source are followed; how is not said.
func Following(m *mapping.Mapping, src *source.Tables, secret decode.Secret) follow.Config {
	c := follow.Config{Source: address(m, m.Source.DSN), Secret: secret}
	c.Tables, c.Watch = follow.TablesOf(src)
	return c
}

// address is where the old database is.
func address(m *mapping.Mapping, dsn string) source.Address {
	return source.Address{DSN: dsn, PasswordEnv: m.Source.PasswordEnv, SessionTZ: m.Source.SessionTZ}
}

// kind is how the source is followed: as it was said, or as in earlier runs, or the way that
// sees most of those that the source is ready for.
func (f *Files) kind(ctx context.Context, c follow.Config) (follow.Kind, error) {
	was, err := f.State.fact(ctx, "follow")
	if err == nil && c.Kind == "" {
		c.Kind = follow.Kind(was)
	}
	if err == nil && c.Kind == "" {
		c.Kind, err = follow.Best(ctx, c)
	}
	if err != nil {
		return "", err
	}
	return c.Kind, f.State.setFact(ctx, "follow", string(c.Kind))
}
