package mysql

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/roomtide/roomtide/internal/mysqldsn"
	"github.com/roomtide/roomtide/store/sqldb"
)

// session is what a connection is set to before it is used. Everything that the
// statements of this package rest on is set, whatever the server's own settings are:
// errors instead of changed values (the fence is one), snapshots, texts in UTF-8.
const session = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; " +
	"SET SESSION sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', " +
	"autocommit = 1, time_zone = '+00:00', group_concat_max_len = 1048576, innodb_lock_wait_timeout = 10"

// parse makes the driver's settings of the DSN.
func parse(o *sqldb.Options) (*mysql.Config, error) {
	u, err := o.URL("mysql", "mariadb")
	if err != nil {
		return nil, err
	}
	c, err := mysqldsn.Config(u)
	if err != nil {
		return nil, o.Invalid("the DSN: "+err.Error(), nil)
	}
	c.Timeout = o.ConnectTimeout
	c.MultiStatements = true
	c.MaxAllowedPacket = 1 << 30 // packets are cut to the server's size before
	if err := c.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, err
	}
	return c, nil
}

// connector makes connections that are set up, each within a time.
type connector struct {
	driver.Connector
	within time.Duration
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.within)
	defer cancel()
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.(driver.ExecerContext).ExecContext(ctx, session, nil); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
