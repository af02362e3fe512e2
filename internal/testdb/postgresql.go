package testdb

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"golang.org/x/sys/unix"
)

// postgres is how PostgreSQL is handled.
type postgres struct{}

func (postgres) owner() string { return "postgres" }

func (postgres) signals() (quit, die os.Signal) { return syscall.SIGINT, syscall.SIGQUIT }

func (postgres) initialise(s *server) error {
	dir, version, err := binaries()
	if err != nil {
		return err
	}
	password := filepath.Join(s.dir.path, "password")
	if err := os.WriteFile(password, []byte(s.password+"\n"), 0o644); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + s.dataPath(), "--username=postgres", "--pwfile=" + password, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
	}
	if version >= 15 {
		// As at most hosters, texts are in the order of a language unless a
		// statement says otherwise.
		args = append(args, "--locale-provider=icu", "--icu-locale=en-US")
	}
	if err := s.run(exec.Command(filepath.Join(dir, "initdb"), args...)); err != nil {
		return err
	}
	return os.Remove(password)
}

func (postgres) command(s *server) (*exec.Cmd, error) {
	dir, _, err := binaries()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return nil, err
	}
	args := []string{
		"-D", s.dataPath(), "-h", host, "-p", port, "-k", s.dir.path,
		"-c", "max_connections=300", "-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB",
	}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	return exec.Command(filepath.Join(dir, "postgres"), args...), nil
}

func (postgres) admin(s *server) string {
	return (&url.URL{Scheme: "postgres", User: url.UserPassword("postgres", s.password), Host: s.addr, Path: "/postgres"}).String()
}

func (postgres) open(address string) (*sql.DB, error) { return sql.Open("pgx", address) }

func (postgres) create(name, password string) []string {
	return []string{
		fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", name, password),
		fmt.Sprintf("CREATE DATABASE %s OWNER %s", name, name),
		fmt.Sprintf("REVOKE ALL ON DATABASE %s FROM PUBLIC", name),
	}
}

func (postgres) drop(name string) []string {
	return []string{fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name), "DROP ROLE " + name}
}

// clean removes the segment of shared memory by which a next start would have noticed
// that processes of the killed one still run.
func (postgres) clean(s *server) error {
	text, err := os.ReadFile(filepath.Join(s.dataPath(), "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil // an orderly end
	}
	lines := strings.Split(string(text), "\n")
	if err != nil || len(lines) < 7 {
		return err
	}
	var key, id int
	if _, err := fmt.Sscan(lines[6], &key, &id); err != nil {
		return nil // it did not get that far
	}
	if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EIDRM) {
		return os.NewSyscallError("shmctl", err)
	}
	return nil
}

// binaries returns the directory with the programs of the newest installed version,
// and its number, 0 if it is in the PATH. Debian keeps them out of the PATH, so that
// what is there comes second.
func binaries() (dir string, version int, err error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	for _, file := range dirs {
		d := filepath.Dir(file)
		if v, err := strconv.Atoi(filepath.Base(filepath.Dir(d))); err == nil && v > version {
			dir, version = d, v
		}
	}
	if dir != "" {
		return dir, version, nil
	}
	file, err := find("postgres")
	return filepath.Dir(file), 0, err
}

// find returns the path of the first program that is there. Servers are not in the
// PATH of ordinary users.
func find(names ...string) (string, error) {
	for _, name := range names {
		if file, err := exec.LookPath(name); err == nil {
			return file, nil
		}
		for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
			if file, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return file, nil
			}
		}
	}
	return "", fmt.Errorf("%w: %s; scripts/need mariadb postgresql pgbouncer installs it", exec.ErrNotFound, slices.Compact(names)[0])
}
