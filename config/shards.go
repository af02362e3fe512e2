package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Shard is a [[shards]] table, or a DSN on the command line: a database that holds
// rooms and users.
type Shard struct {
	DSN            string   `toml:"dsn" mask:"dsn" help:"Where it is: mysql://user:password@host:3306/database (MariaDB as well), postgres://user:password@host:5432/database, or sqlite:NAME.db for a file in the data dir."`
	Name           string   `toml:"name" help:"Name of the shard in lists, logs and the slot map. It stays when the database moves to another address. Empty: host/database, with the prefix if there is one."`
	Prefix         string   `toml:"prefix" help:"What the names of its tables begin with, so that several shards fit into one database: a letter, then letters, digits and _, all lower case. Empty: roomtide_."`
	PasswordFile   string   `toml:"password_file" help:"File that holds the password, instead of the DSN."`
	PasswordEnv    string   `toml:"password_env" help:"Environment variable that holds the password, instead of the DSN."`
	MaxConnections int      `toml:"max_connections" help:"Connections for reading at once; one more writes, and in a cluster one more renews leases. 0: 4."`
	ConnectTimeout Duration `toml:"connect_timeout" help:"How long to wait for a connection. 0s: 10s."`
}

// UnmarshalText reads a DSN, as flags and the environment give it.
func (s *Shard) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("write a shard as a DSN such as mysql://user:password@host/database, or as a table [[shards]]")
	}
	*s = Shard{DSN: string(text)}
	return nil
}

// The engines of databases.
const (
	SQLite     = "sqlite"
	MySQL      = "mysql"
	PostgreSQL = "postgres"
)

// DefaultPrefix begins the names of tables unless another one is set: the database is
// often that of a site with tables of its own.
const DefaultPrefix = "roomtide_"

// Database is a configured database with everything that is derived filled in.
type Database struct {
	Name           string
	Engine         string        // SQLite, MySQL or PostgreSQL
	File           string        // SQLite: name of the file in the data dir
	DSN            string        // others: a URL with the password in it, not to be shown
	Prefix         string        // others
	MaxConnections int           // 0: the driver's default
	ConnectTimeout time.Duration // 0: the driver's default

	server string // where its server is
	place  string // two databases with the same one are the same tables, but for the prefix
}

// Server is the address of the server that has the database, by its engine; empty for
// a file.
func (d *Database) Server() string { return d.server }

// overlaps reports whether two databases have tables in common: with the same prefix,
// or with one that ends in the first word of a table of the other (a_user_ + rooms,
// a_ + user_rooms).
func (d *Database) overlaps(o *Database) bool {
	return d.place == o.place && (d.Prefix == o.Prefix || d.Prefix == o.Prefix+"user_" || o.Prefix == d.Prefix+"user_")
}

const controlFile = "control.db"

// Databases returns the configured shards.
func (c *Config) Databases() ([]Database, error) {
	var out []Database
	var ps Problems
	for i := range c.Shards {
		where := fmt.Sprintf("shards[%d]", i)
		d, problem := c.database(&c.Shards[i])
		if problem != nil {
			problem.Where = where
			ps = append(ps, *problem)
			continue
		}
		if d.File == controlFile {
			ps = append(ps, Problem{where, controlFile + " is the control database of the data dir", "choose another name for the file"})
		} else if o := slices.IndexFunc(out, func(o Database) bool { return d.overlaps(&o) }); o >= 0 {
			ps = append(ps, Problem{where, "it has the same tables as " + out[o].Name + ": the shard is listed twice", "take one out, or give it a database or a prefix of its own"})
		} else if slices.ContainsFunc(out, func(o Database) bool { return d.Name == o.Name }) {
			ps = append(ps, Problem{where, "another shard has the name " + strconv.Quote(d.Name), "give each shard a name of its own: name = \"…\" in [[shards]]"})
		}
		out = append(out, *d)
	}
	if len(c.Shards) > maxShards {
		ps = append(ps, Problem{"shards", fmt.Sprintf("%d are more than %d", len(c.Shards), maxShards), "a few for each database server are plenty"})
	}
	if len(ps) > 0 {
		return nil, ps
	}
	return out, nil
}

// ControlDatabase returns the database that the setting control names, nil if it
// names none.
func (c *Config) ControlDatabase() (*Database, error) {
	if c.Control == "" {
		return nil, nil
	}
	if shards, err := c.Databases(); err == nil {
		if i := slices.IndexFunc(shards, func(d Database) bool { return d.Name == c.Control }); i >= 0 {
			return &shards[i], nil
		}
	}
	if !strings.Contains(c.Control, ":") {
		return nil, Problems{{"control", "no shard has the name " + strconv.Quote(c.Control), "write the name of one of [[shards]], a DSN, or nothing"}}
	}
	d, problem := c.database(&Shard{DSN: c.Control})
	switch {
	case problem != nil:
		problem.Where = "control"
		return nil, Problems{*problem}
	case d.Engine == SQLite && d.File != controlFile:
		return nil, Problems{{"control", "the file in the data dir has another name", "write sqlite:" + controlFile}}
	}
	return d, nil
}

var (
	prefixForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,30}$`)
	nameForm   = regexp.MustCompile(`^[][A-Za-z0-9._:/@-]{1,128}$`)
	fileForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.db$`)
)

// database fills in what is derived. The Problem has no Where.
func (c *Config) database(s *Shard) (*Database, *Problem) {
	d := &Database{Name: s.Name, MaxConnections: s.MaxConnections, ConnectTimeout: time.Duration(s.ConnectTimeout)}
	if d.MaxConnections < 0 || d.ConnectTimeout < 0 {
		return nil, &Problem{"", "max_connections and connect_timeout cannot be below 0", "write at least 1 and 1s, or leave them out"}
	}
	engine, rest, ok := strings.Cut(s.DSN, ":")
	var problem *Problem
	switch {
	case s.DSN == "":
		problem = &Problem{"", "it has no dsn", formsOfDSN}
	case !ok:
		problem = &Problem{"", "its dsn does not begin with the kind of database", formsOfDSN}
	case engine == SQLite:
		problem = d.fillFile(s, rest)
	case engine == "mysql" || engine == "mariadb":
		problem = d.fillURL(c, s, MySQL, rest, "3306")
	case engine == "postgres" || engine == "postgresql":
		problem = d.fillURL(c, s, PostgreSQL, rest, "5432")
	case strings.HasPrefix(rest, "//"):
		problem = &Problem{"", "databases of the kind " + strconv.Quote(engine) + " are not known", formsOfDSN}
	default: // the text before the colon may be a user, as in user:password@tcp(host)/database
		problem = &Problem{"", "its dsn is not a URL", formsOfDSN}
	}
	switch {
	case problem != nil:
		return nil, problem
	case !nameForm.MatchString(d.Name):
		return nil, &Problem{"", strconv.Quote(d.Name) + " is no name for a shard", "set name to letters, digits and any of . _ - : / @ [ ], up to 128"}
	case d.Engine != SQLite && strings.HasSuffix(d.Name, ".db"):
		return nil, &Problem{"", "the name " + strconv.Quote(d.Name) + " is that of a file", "names that end in .db are those of SQLite files: choose another one"}
	}
	return d, nil
}

const formsOfDSN = "write mysql://user:password@host:3306/database, postgres://user:password@host:5432/database, or sqlite:NAME.db"

// fillFile reads sqlite:NAME.
func (d *Database) fillFile(s *Shard, file string) *Problem {
	if !fileForm.MatchString(file) {
		return &Problem{"", strconv.Quote(file) + " is no name for a file in the data dir", "write sqlite:NAME.db, without a directory"}
	}
	if s.Prefix != "" || s.PasswordFile != "" || s.PasswordEnv != "" {
		return &Problem{"", "a SQLite file has no prefix and no password", "take them out"}
	}
	d.Engine, d.File, d.place = SQLite, file, SQLite+":"+file
	if d.Name == "" {
		d.Name = file
	}
	if d.Name != file {
		return &Problem{"", "a SQLite file is named as the file: " + file, "leave name out"}
	}
	return nil
}

// fillURL reads the URL of a database server.
func (d *Database) fillURL(c *Config, s *Shard, engine, rest, port string) *Problem {
	u, err := url.Parse(engine + ":" + rest)
	if err != nil || u.Opaque != "" { // the error would show the password
		return &Problem{"", "its dsn is not a URL", "write it as mysql://user:password@host:3306/database; in the password, write / as %2F, ? as %3F, # as %23, % as %25, or use password_file"}
	}
	database := strings.TrimPrefix(u.Path, "/")
	if database == "" || strings.Contains(database, "/") {
		return &Problem{"", "its dsn names no database", "write the name of the database behind the host: " + engine + "://user@host/database"}
	}
	if problem := d.fillPrefix(s, u); problem != nil {
		return problem
	}
	if problem := c.fillPassword(s, u); problem != nil {
		return problem
	}
	host := strings.ToLower(u.Hostname())
	at := host
	switch socket := u.Query().Get("socket"); {
	case socket != "":
		host, at = "localhost", socket
	case host == "":
		host, at = "localhost", "localhost"
	case host == "127.0.0.1", host == "::1":
		at = "localhost"
	}
	if p := u.Port(); p != "" && p != port {
		host, port = net.JoinHostPort(host, p), p
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if d.Name == "" {
		d.Name = host + "/" + database
		if d.Prefix != DefaultPrefix {
			d.Name += "/" + d.Prefix
		}
	}
	d.Engine, d.DSN = engine, u.String()
	d.server = engine + "://" + net.JoinHostPort(at, port)
	d.place = d.server + "/" + database
	return nil
}

// fillPrefix takes the prefix from the table, or from ?prefix= in the DSN.
func (d *Database) fillPrefix(s *Shard, u *url.URL) *Problem {
	d.Prefix = s.Prefix
	if q := u.Query(); q.Has("prefix") {
		if d.Prefix == "" {
			d.Prefix = q.Get("prefix")
		} else if d.Prefix != q.Get("prefix") {
			return &Problem{"", "its dsn has another prefix than the table", "write the prefix once"}
		}
		q.Del("prefix")
		u.RawQuery = q.Encode()
	}
	if d.Prefix == "" {
		d.Prefix = DefaultPrefix
	}
	if !prefixForm.MatchString(d.Prefix) {
		return &Problem{"", "the prefix " + strconv.Quote(d.Prefix) + " is no identifier", "begin with a letter a to z, and go on with a to z, 0 to 9 and _, up to 31 in all, such as chat_"}
	}
	return nil
}

// fillPassword puts the password of a file or of the environment into the URL.
func (c *Config) fillPassword(s *Shard, u *url.URL) *Problem {
	if s.PasswordFile == "" && s.PasswordEnv == "" {
		return nil
	}
	if _, inside := u.User.Password(); inside || s.PasswordFile != "" && s.PasswordEnv != "" {
		return &Problem{"", "it has more than one password", "keep one of the password in the dsn, password_file and password_env"}
	}
	password, ok := c.passwords[s.PasswordEnv]
	if s.PasswordFile != "" {
		var problem *Problem
		if password, problem = readPassword("", s.PasswordFile); problem != nil {
			problem.Fix += " of password_file"
			return problem
		}
	} else if !ok {
		return &Problem{"", "the environment variable " + s.PasswordEnv + " is not set", "set it to the password, or take password_env out"}
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return nil
}

// Mask returns a URL as it may be shown, without what is secret in it.
func Mask(text string) string {
	if !strings.Contains(text, "://") && !strings.Contains(text, "@") {
		return text // a file, or the name of a shard
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" {
		return "xxxxx"
	}
	q := u.Query()
	for key := range q {
		if k := strings.ToLower(key); strings.Contains(k, "pass") || strings.Contains(k, "secret") || strings.Contains(k, "token") || strings.Contains(k, "key") {
			q.Set(key, "xxxxx")
		}
	}
	u.RawQuery = q.Encode()
	return u.Redacted()
}

func (c *Config) checkShards() Problems {
	var ps Problems
	if _, err := c.Databases(); err != nil {
		ps = err.(Problems)
	}
	if _, err := c.ControlDatabase(); err != nil {
		ps = append(ps, err.(Problems)...)
	}
	return ps
}
