package source

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/roomtide/roomtide/adopt/decode"
	"github.com/roomtide/roomtide/internal/mysqldsn"
)

// connectTimeout bounds one connection to a server.
const connectTimeout = 10 * time.Second

// Address is where a database is.
type Address struct {
	DSN         string
	PasswordEnv string // variable with the password, if the DSN has none
	SessionTZ   string // time zone of the sessions, "" for the server's
}

// Dial opens a pool of connections that only read, unless write is set. Nothing is sent
// before the pool is used. Files of a DSN csv: or jsonl: are no databases, and refused.
func Dial(a Address, secret decode.Secret, write bool) (*sql.DB, Engine, error) {
	if path, ok := strings.CutPrefix(a.DSN, "sqlite:"); ok {
		return dialSQLite(path, write)
	}
	u, err := url.Parse(a.DSN)
	if err != nil {
		// The error of package url has the text that it could not parse.
		return nil, "", invalid("source.dsn is no URL: characters like @ : / ? # %% in the password are written as %%40 %%3A %%2F %%3F %%23 %%25")
	}
	if err := withPassword(u, a.PasswordEnv, secret); err != nil {
		return nil, "", err
	}
	switch u.Scheme {
	case "mysql", "mariadb":
		return dialMySQL(u, a.SessionTZ, write)
	case "postgres", "postgresql":
		return dialPostgres(u, a.SessionTZ, write)
	}
	return nil, "", invalid("source.dsn begins with %q; it is mysql://user@host/database, postgres://…, sqlite:/path, csv:/path, jsonl:/path or ndjson:/path", u.Scheme)
}

func withPassword(u *url.URL, variable string, secret decode.Secret) error {
	if variable == "" {
		return nil
	}
	if secret != nil {
		if value, ok := secret(variable); ok {
			u.User = url.UserPassword(u.User.Username(), value)
			return nil
		}
	}
	return invalid("the environment variable %s, which has the password of the database, is not set", variable)
}

// MySQLConfig is how a server of MySQL or MariaDB is reached, for code that speaks to it
// without a pool: the binary log is read over a connection of its own.
func MySQLConfig(a Address, secret decode.Secret) (*mysql.Config, error) {
	u, err := url.Parse(a.DSN)
	if err != nil {
		return nil, invalid("source.dsn is no URL")
	}
	if err := withPassword(u, a.PasswordEnv, secret); err != nil {
		return nil, err
	}
	c, err := mysqldsn.Config(u)
	if err != nil {
		return nil, invalid("source.dsn: %v", err)
	}
	return c, nil
}

func dialMySQL(u *url.URL, tz string, write bool) (*sql.DB, Engine, error) {
	if strings.Trim(u.Path, "/") == "" {
		return nil, "", invalid("source.dsn names no database: mysql://user@host/database")
	}
	c, err := mysqldsn.Config(u)
	if err != nil {
		return nil, "", invalid("source.dsn: %v", err)
	}
	c.Timeout = connectTimeout
	if err := c.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, "", err
	}
	// What applications rely on is the server's own sql_mode; only quotes are made sure of.
	setup := []string{"SET SESSION sql_mode = REPLACE(@@sql_mode, 'ANSI_QUOTES', '')"}
	if tz != "" {
		setup = append(setup, "SET SESSION time_zone = '"+strings.ReplaceAll(tz, "'", "''")+"'")
	}
	if !write {
		setup = append(setup, "SET SESSION TRANSACTION READ ONLY")
	}
	base, err := mysql.NewConnector(c)
	if err != nil {
		return nil, "", err
	}
	return sql.OpenDB(&connector{base, setup}), MySQL, nil
}

func dialPostgres(u *url.URL, tz string, write bool) (*sql.DB, Engine, error) {
	c, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, "", invalid("source.dsn is no address of PostgreSQL: postgres://user@host/database")
	}
	c.ConnectTimeout = connectTimeout
	if !write {
		c.RuntimeParams["default_transaction_read_only"] = "on"
	}
	if tz != "" {
		c.RuntimeParams["timezone"] = tz
	}
	return stdlib.OpenDB(*c), Postgres, nil
}

func dialSQLite(path string, write bool) (*sql.DB, Engine, error) {
	abs, err := filepath.Abs(strings.TrimPrefix(path, "//"))
	if err != nil {
		return nil, "", err
	}
	// A transaction that reads before it writes holds the lock from its beginning.
	settings := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}}
	if write {
		settings["mode"], settings["_txlock"] = []string{"rw"}, []string{"immediate"}
	}
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: settings.Encode()}
	db, err := sql.Open("sqlite", name.String())
	return db, SQLite, err
}

// connector sets connections up.
type connector struct {
	driver.Connector
	setup []string
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, statement := range c.setup {
		if _, err := conn.(driver.ExecerContext).ExecContext(ctx, statement, nil); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}
