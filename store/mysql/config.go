package mysql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/roomtide/roomtide/store/sqldb"
)

// session is what a connection is set to before it is used. Everything that the
// statements of this package rest on is set, whatever the server's own settings are:
// errors instead of changed values (the fence is one), snapshots, texts in UTF-8.
const session = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; " +
	"SET SESSION sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', " +
	"autocommit = 1, time_zone = '+00:00', group_concat_max_len = 1048576, innodb_lock_wait_timeout = 10"

// parse makes the driver's settings of the DSN. Parameters are socket (a path), tls
// (true, skip-verify, preferred) and tls-ca (a file).
func parse(o *sqldb.Options) (*mysql.Config, error) {
	u, err := o.URL("mysql", "mariadb")
	if err != nil {
		return nil, err
	}
	c := mysql.NewConfig()
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.DBName = strings.Trim(u.Path, "/")
	c.Net, c.Addr = "tcp", u.Host
	if u.Port() == "" {
		c.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	c.Timeout = o.ConnectTimeout
	c.MultiStatements, c.InterpolateParams = true, true
	c.MaxAllowedPacket = 1 << 30 // packets are cut to the server's size before
	c.Logger = &mysql.NopLogger{}
	if err := c.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, err
	}
	if err := parameters(o, c, u.Query()); err != nil {
		return nil, err
	}
	if u.Hostname() == "" && c.Net == "tcp" {
		return nil, o.Invalid("the DSN names no host: mysql://user:password@host/database, or ?socket=/path", nil)
	}
	return c, nil
}

func parameters(o *sqldb.Options, c *mysql.Config, params url.Values) error {
	for name := range params {
		value := params.Get(name)
		switch name {
		case "socket":
			c.Net, c.Addr = "unix", value
		case "tls":
			if value != "true" && value != "skip-verify" && value != "preferred" && value != "false" {
				return o.Invalid("the parameter tls of the DSN is true, skip-verify, preferred or false", nil)
			}
			if c.TLS == nil {
				c.TLSConfig = value
			}
		case "tls-ca":
			pem, err := os.ReadFile(value)
			if err != nil {
				return o.Invalid("the file tls-ca of the DSN cannot be read", err)
			}
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(pem) {
				return o.Invalid("the file tls-ca of the DSN has no certificates", nil)
			}
			host, _, _ := net.SplitHostPort(c.Addr)
			c.TLS, c.TLSConfig = &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS12}, ""
		default:
			return o.Invalid("the DSN has the parameter "+name+"; known are socket, tls and tls-ca", nil)
		}
	}
	return nil
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
