package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/roomtide/roomtide/store/sqldb"
)

// pooled reports whether the DSN says that sessions are not to be relied on.
func pooled(config *pgx.ConnConfig) bool {
	return config.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement
}

// throughPooler reports whether a pooler has refused to begin a session with settings.
func throughPooler(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == protocolViolation && strings.Contains(e.Message, "startup parameter")
}

// settingsLater is settings for a pooler that keeps sessions: they are set when the
// session has begun.
func settingsLater(plain *pgx.ConnConfig) *pgx.ConnConfig {
	var text strings.Builder
	for name, value := range settings(plain).RuntimeParams {
		if _, ok := plain.RuntimeParams[name]; !ok {
			text.WriteString("SET " + name + " = '" + value + "';")
		}
	}
	config := plain.Copy()
	config.AfterConnect = func(ctx context.Context, c *pgconn.PgConn) error {
		return c.Exec(ctx, text.String()).Close()
	}
	return config
}

// keepsSessions returns an error if the pooler gives a connection of the server to one
// client after the other: what is prepared, set or locked in a session would be that of
// others. While one connection is idle, another begins a transaction. If each has a
// session, the server's process is never the same; where connections are shared, it
// almost always is.
func keepsSessions(ctx context.Context, o *sqldb.Options, plain *pgx.ConnConfig) (err error) {
	config := plain.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	var conns [2]*pgx.Conn
	for i := range conns {
		if conns[i], err = pgx.ConnectConfig(ctx, config); err != nil {
			return err
		}
		defer conns[i].Close(ctx) //nolint:errcheck // nothing was written
	}
	const looks = 8
	for range looks {
		var pids [3]int
		for i, c := range []*pgx.Conn{conns[0], conns[1], conns[0]} {
			if i > 0 {
				if _, err := c.Exec(ctx, "BEGIN"); err != nil {
					return err
				}
			}
			if err := c.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pids[i]); err != nil {
				return err
			}
		}
		for _, c := range conns {
			if _, err := c.Exec(ctx, "COMMIT"); err != nil {
				return err
			}
		}
		if pids[0] == pids[1] || pids[0] != pids[2] {
			return o.Invalid("there is a pooler before the database, and it does not keep sessions (pool_mode = transaction): add default_query_exec_mode=exec to the DSN", nil)
		}
	}
	return nil
}
