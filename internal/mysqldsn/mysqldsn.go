// Package mysqldsn reads addresses of MySQL and MariaDB.
package mysqldsn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// Config makes the driver's settings of mysql://user:password@host:port/database.
// Parameters are socket (a path), tls (true, skip-verify, preferred) and tls-ca (a
// file). Errors say what is wrong, and never have the password.
func Config(u *url.URL) (*mysql.Config, error) {
	c := mysql.NewConfig()
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.DBName = strings.Trim(u.Path, "/")
	c.Net, c.Addr = "tcp", u.Host
	if u.Port() == "" {
		c.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	c.InterpolateParams = true
	c.Logger = &mysql.NopLogger{}
	if err := parameters(c, u.Query()); err != nil {
		return nil, err
	}
	if u.Hostname() == "" && c.Net == "tcp" {
		return nil, errors.New("it names no host: mysql://user:password@host/database, or ?socket=/path")
	}
	return c, nil
}

func parameters(c *mysql.Config, params url.Values) error {
	for name := range params {
		value := params.Get(name)
		switch name {
		case "socket":
			c.Net, c.Addr = "unix", value
		case "tls":
			if value != "true" && value != "skip-verify" && value != "preferred" && value != "false" {
				return errors.New("the parameter tls is true, skip-verify, preferred or false")
			}
			if c.TLS == nil {
				c.TLSConfig = value
			}
		case "tls-ca":
			pem, err := os.ReadFile(value)
			if err != nil {
				return fmt.Errorf("the file tls-ca cannot be read: %w", err)
			}
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(pem) {
				return errors.New("the file tls-ca has no certificates")
			}
			host, _, _ := net.SplitHostPort(c.Addr)
			c.TLS, c.TLSConfig = &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS12}, ""
		default:
			return fmt.Errorf("it has the parameter %s; known are socket, tls and tls-ca", name)
		}
	}
	return nil
}
