package testdb

import (
	"os"
	"os/exec"
)

// mysqldVariable names the server program of MySQL. Where it is set, all tests of MariaDB run
// on that server: Debian has no package of MySQL, and the product promises both.
const mysqldVariable = "ROOMTIDE_TEST_MYSQLD"

// mysqlServer is how MySQL is handled, where it differs from MariaDB.
type mysqlServer struct {
	maria
	program string
}

// mariaOrMySQL returns the rules of the server that the tests are to run on.
func mariaOrMySQL() rules {
	if program := os.Getenv(mysqldVariable); program != "" {
		return mysqlServer{program: program}
	}
	return maria{}
}

func (m mysqlServer) initialise(s *server) error {
	cmd := exec.Command(m.program, "--no-defaults", "--initialize-insecure", "--datadir="+s.dataPath(), "--log-error-verbosity=1")
	if err := s.run(cmd); err != nil {
		return err
	}
	// Each start runs them. The user that is there has no password.
	return os.WriteFile(s.initPath(), []byte("DROP USER IF EXISTS root@localhost;\n"+
		"CREATE USER IF NOT EXISTS admin@'%' IDENTIFIED BY '"+s.password+"';\n"+
		"GRANT ALL PRIVILEGES ON *.* TO admin@'%' WITH GRANT OPTION;\n"), 0o644)
}

func (m mysqlServer) command(s *server) (*exec.Cmd, error) {
	cmd, err := m.arguments(s)
	if err != nil {
		return nil, err
	}
	own := []string{"--no-defaults", "--mysqlx=OFF", "--disable-log-bin", "--secure-file-priv="}
	return exec.Command(m.program, append(own, cmd[1:]...)...), nil
}
