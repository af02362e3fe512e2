package postgres

import (
	"context"
	"embed"
	"errors"
	"hash/fnv"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// schemas are numbered steps in the common form of sqldb. They go forward only, and a
// released one never changes.
//
//go:embed schema
var schemas embed.FS

// Shard is a shard in a PostgreSQL database. It implements store.Driver.
type Shard struct {
	*sqldb.Reader
	reads    *engine // many connections
	lane     *engine // one connection
	leases   *engine // one connection, made when a lease is asked for
	claim    *claim
	plain    *pgx.ConnConfig // see Check
	findings []sqldb.Finding
}

var (
	_ store.Driver    = (*Shard)(nil)
	_ store.RowReader = (*Shard)(nil)
)

// Warnings are what was found when the database was opened.
func (s *Shard) Warnings() []sqldb.Finding { return s.findings }

// Open opens a shard and brings its tables up to date. If they are missing they are
// made with create, and the error is NotFound without. Errors are of kind Invalid where
// settings, rights or the database itself have to change, Unavailable where the server
// cannot be reached or another node has the shard, ReadOnly for a server that does not
// write.
func Open(ctx context.Context, o sqldb.Options, create bool) (_ *Shard, err error) {
	d, err := openDatabase(ctx, &o, "shard", create)
	if err != nil {
		return nil, err
	}
	s := &Shard{reads: d.engine, plain: d.plain, findings: d.findings, claim: newClaim(&o, d)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	lane := stdlib.OpenDB(*d.config, stdlib.OptionAfterConnect(s.claim.connected))
	lane.SetMaxOpenConns(1)
	s.lane = newEngine(o.Name, lane, d.engine.dialect)
	leases := stdlib.OpenDB(*d.config)
	leases.SetMaxOpenConns(1)
	s.leases = newEngine(o.Name, leases, d.engine.dialect)
	if err := s.claim.take(ctx, s.lane); err != nil {
		return nil, err
	}
	if err := o.Belong(ctx, s.reads, !s.claim.none && !o.Shared); err != nil {
		return nil, err
	}
	s.Reader = sqldb.NewReader(o.Name, s.reads, s.lane, s.leases)
	return s, nil
}

// Close gives the claim back with the lane's connection.
func (s *Shard) Close() error {
	var errs []error
	for _, e := range []*engine{s.lane, s.leases, s.reads} {
		if e != nil {
			errs = append(errs, e.Close())
		}
	}
	return errors.Join(errs...)
}

// OpenControl opens the control database as Open does a shard. Several nodes may have it
// open.
func OpenControl(ctx context.Context, o sqldb.Options, create bool) (store.Control, error) {
	d, err := openDatabase(ctx, &o, "control", create)
	if err != nil {
		return nil, err
	}
	return sqldb.NewControl(o.Name, d.engine, d.findings), nil
}

// database is an open database with its tables.
type database struct {
	engine   *engine
	plain    *pgx.ConnConfig // as the DSN has it
	config   *pgx.ConnConfig // with settings
	findings []sqldb.Finding
	pooled   bool // there is a pooler before it
}

// openDatabase connects, looks at the settings, and brings the tables of a schema up to
// date. It replaces the options by those with defaults.
func openDatabase(ctx context.Context, o *sqldb.Options, schema string, create bool) (_ *database, err error) {
	if *o, err = o.WithDefaults(); err != nil {
		return nil, err
	}
	plain, err := parse(o)
	if err != nil {
		return nil, err
	}
	d := newDatabase(o, plain, settings(plain))
	defer func() {
		if err != nil {
			err = errors.Join(openError(o, err), d.engine.Close())
		}
	}()
	found, err := look(ctx, o, d, schema)
	if throughPooler(err) {
		if err := keepsSessions(ctx, o, plain); err != nil {
			return nil, err
		}
		if err := d.engine.Close(); err != nil {
			return nil, err
		}
		d = newDatabase(o, plain, settingsLater(plain))
		found, err = look(ctx, o, d, schema)
	}
	if err != nil {
		return nil, err
	}
	if !found.tables && !create {
		return nil, &chat.Error{Kind: chat.NotFound, Op: "postgres.open", Subject: o.Name,
			Text: "there are no tables with the prefix " + o.Prefix}
	}
	if err := o.Judge(found.findings); err != nil {
		return nil, err
	}
	if d.findings = found.findings; o.Look {
		return d, nil
	}
	if err := migrate(ctx, o, d, schema); err != nil {
		return nil, err
	}
	return d, checkRights(ctx, o, d, schema)
}

func newDatabase(o *sqldb.Options, plain, config *pgx.ConnConfig) *database {
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(o.MaxConns)
	db.SetMaxIdleConns(o.MaxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return &database{engine: newEngine(o.Name, db, newDialect(o.Prefix)), plain: plain, config: config, pooled: pooled(config)}
}

// migrate holds a lock that ends with a transaction, and so is one through a pooler as
// well.
func migrate(ctx context.Context, o *sqldb.Options, d *database, schema string) (err error) {
	db := stdlib.OpenDB(*d.plain)
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // it gives the lock back, and so does the end of the connection
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", lockID(o.Prefix, "migrate "+schema)); err != nil {
		return err
	}
	return sqldb.Migrate(ctx, db, goose.DialectPostgres, d.engine.dialect, schemas, "schema/"+schema, o.Log)
}

// lockID is the number of an advisory lock. Locks are those of a database.
func lockID(prefix, of string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("roomtide " + of + " " + prefix)) // never fails
	return int64(h.Sum64())
}

// parse makes the configuration of connections.
func parse(o *sqldb.Options) (*pgx.ConnConfig, error) {
	u, err := o.URL("postgres", "postgresql")
	if err != nil {
		return nil, err
	}
	q := u.Query()
	socket := q.Get("socket")
	q.Del("socket")
	u.RawQuery = q.Encode()
	config, err := pgx.ParseConfig(u.String())
	if err != nil {
		// The error has the DSN in it.
		return nil, o.Invalid("the DSN "+sqldb.Masked(o.DSN)+" has a parameter that is not understood", parseReason(err))
	}
	if socket != "" {
		config.Host, config.Fallbacks = socket, nil
	}
	config.ConnectTimeout = o.ConnectTimeout
	dialer := &net.Dialer{KeepAlive: keepAlive, Timeout: o.ConnectTimeout}
	config.DialFunc = dialer.DialContext
	if _, ok := config.RuntimeParams["application_name"]; !ok {
		config.RuntimeParams["application_name"] = "roomtide"
	}
	return config, nil
}

// parseReason is why a DSN is refused, without the DSN.
func parseReason(err error) error {
	var e *pgconn.ParseConfigError
	if errors.As(err, &e) {
		if inner := errors.Unwrap(err); inner != nil {
			return inner
		}
		return nil
	}
	return err
}

const keepAlive = 15 * time.Second

// settings is the configuration with what a session is to have, unless the DSN sets it.
func settings(plain *pgx.ConnConfig) *pgx.ConnConfig {
	config := plain.Copy()
	if pooled(config) {
		return config
	}
	set := func(name, value string) {
		if _, ok := config.RuntimeParams[name]; !ok {
			config.RuntimeParams[name] = value
		}
	}
	// Each question has its index, whatever the statistics say: see package comment.
	set("plan_cache_mode", "force_generic_plan")
	set("enable_seqscan", "off")
	set("enable_hashjoin", "off")
	set("enable_mergejoin", "off")
	set("enable_bitmapscan", "off")
	set("enable_sort", "off")
	set("jit", "off")
	set("default_transaction_isolation", "read committed")
	// The server notices by itself that a node is gone, and gives its claim back.
	set("tcp_keepalives_idle", "15")
	set("tcp_keepalives_interval", "5")
	set("tcp_keepalives_count", "3")
	return config
}

// openError says what to do about errors that are usual when a database is opened for
// the first time.
func openError(o *sqldb.Options, err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) || chat.KindOf(err) == chat.Invalid {
		return fail("open", o.Name, err)
	}
	switch {
	case e.Code == invalidPassword || strings.HasPrefix(e.Code, "28"):
		return o.Invalid("the server does not accept the user or the password of the DSN", err)
	case e.Code == invalidCatalogName:
		return o.Invalid("the database of the DSN does not exist: CREATE DATABASE", err)
	case e.Code == undefinedObject:
		return o.Invalid("the server does not know a parameter of the DSN", err)
	case e.Code == insufficientRight:
		return o.Invalid("a right is missing", err)
	case throughPooler(err):
		return o.Invalid("the pooler before the database does not know a parameter of the DSN: take it out, or name it in ignore_startup_parameters of the pooler", err)
	}
	return fail("open", o.Name, err)
}
