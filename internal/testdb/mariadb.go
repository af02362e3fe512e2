package testdb

import (
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/go-sql-driver/mysql"
)

// maria is how MariaDB is handled.
type maria struct{}

func (maria) owner() string { return "mysql" }

func (maria) signals() (quit, die os.Signal) { return syscall.SIGTERM, syscall.SIGKILL }

func (maria) initialise(s *server) error {
	program, err := find("mariadb-install-db", "mysql_install_db")
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "--no-defaults", "--datadir="+s.dataPath(), "--skip-test-db",
		"--auth-root-authentication-method=normal", "--innodb-flush-method=nosync")
	// A server that starts deletes the temporary tables it finds, also those of another.
	cmd.Env = append(os.Environ(), "TMPDIR="+s.dir.path)
	if err = s.run(cmd); err != nil {
		return err
	}
	// The users that are there have no password.
	return os.WriteFile(s.initPath(), []byte("DELETE FROM mysql.global_priv WHERE User = 'root';\n"+
		"FLUSH PRIVILEGES;\n"+
		"CREATE OR REPLACE USER admin@'%' IDENTIFIED BY '"+s.password+"';\n"+
		"GRANT ALL PRIVILEGES ON *.* TO admin@'%' WITH GRANT OPTION;\n"), 0o644)
}

// initPath is the file of the statements that make the administrator.
func (s *server) initPath() string { return filepath.Join(s.dir.path, "init.sql") }

func (maria) command(s *server) (*exec.Cmd, error) {
	program, err := find("mariadbd", "mysqld")
	if err != nil {
		return nil, err
	}
	args, err := serverArgs(s)
	return exec.Command(program, append([]string{"--no-defaults", "--init-file=" + s.initPath()}, args...)...), err
}

// serverArgs are the arguments that MariaDB and MySQL share.
func serverArgs(s *server) ([]string, error) {
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return nil, err
	}
	args := []string{
		"--datadir=" + s.dataPath(), "--tmpdir=" + s.dir.path,
		"--bind-address=" + host, "--port=" + port, "--socket=" + s.socketPath(), "--pid-file=" + filepath.Join(s.dir.path, "pid"),
		"--skip-name-resolve", "--max-connections=500", "--innodb-buffer-pool-size=256M", "--innodb-io-capacity=2000",
	}
	for _, setting := range s.settings {
		args = append(args, "--"+setting)
	}
	return args, nil
}

func (maria) admin(s *server) string {
	return (&url.URL{Scheme: "mysql", User: url.UserPassword("admin", s.password), Host: s.addr, Path: "/mysql"}).String()
}

func (maria) open(address string) (*sql.DB, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = u.User.Username(), "tcp", u.Host, u.Path[1:]
	c.Passwd, _ = u.User.Password()
	c.Logger = &mysql.NopLogger{} // it does not answer while it starts
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func (maria) create(name, password string) []string {
	return []string{
		"CREATE DATABASE " + name,
		fmt.Sprintf("CREATE USER %s@'%%' IDENTIFIED BY '%s'", name, password),
		fmt.Sprintf("GRANT ALL PRIVILEGES ON %s.* TO %s@'%%'", name, name),
	}
}

func (maria) drop(name string) []string {
	return []string{"DROP DATABASE " + name, fmt.Sprintf("DROP USER %s@'%%'", name)}
}

func (maria) clean(*server) error { return nil }
