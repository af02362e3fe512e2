package testdb

import (
	"os"
	"os/exec"
)

// mysqldVariable names the program of a MySQL server, with an absolute path, that takes
// the place of MariaDB in every test.
const mysqldVariable = "ROOMTIDE_TEST_MYSQLD"

// mysqlServer is how MySQL itself is handled, where that is not as with MariaDB.
type mysqlServer struct {
	maria
	program string
}

func (m mysqlServer) initialise(s *server) error {
	// These statements run while the data is made: later ones would be in the binary log.
	err := os.WriteFile(s.initPath(), []byte("CREATE USER admin@'%' IDENTIFIED BY '"+s.password+"';\n"+
		"GRANT ALL PRIVILEGES ON *.* TO admin@'%' WITH GRANT OPTION;\n"+
		"DROP USER root@localhost;\n"), 0o644)
	if err != nil {
		return err
	}
	return s.run(exec.Command(m.program, "--no-defaults", "--initialize-insecure", "--datadir="+s.dataPath(), "--tmpdir="+s.dir.path,
		"--init-file="+s.initPath(), "--secure-file-priv=NULL", "--innodb-flush-method=nosync"))
}

func (m mysqlServer) command(s *server) (*exec.Cmd, error) {
	args, err := serverArgs(s)
	// The port of the X protocol and the directory for files of the server are those of
	// the whole machine.
	own := []string{"--no-defaults", "--mysqlx=OFF", "--secure-file-priv=NULL"}
	return exec.Command(m.program, append(own, args...)...), err
}
