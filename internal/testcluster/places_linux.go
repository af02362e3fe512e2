package testcluster

import (
	"net/url"
	"path/filepath"

	"github.com/roomtide/roomtide/internal/faultproxy"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testnats"
)

// Where servers keep what they have, and the proxies by which they are reached.

// Ways are the proxies between one node and the servers.
type Ways struct {
	NATS  []*faultproxy.Proxy
	SQL   []*faultproxy.Proxy
	Redis *faultproxy.Proxy
}

// database makes one, where Options say.
func (c *Cluster) database(s *testdb.Server) string {
	c.t.Helper()
	dsn := s.Database()
	if s.Engine() != testdb.Postgres || c.o.Tables == "" {
		return dsn
	}
	u, err := url.Parse(dsn)
	if err != nil {
		c.t.Fatal(err)
	}
	admin := s.Open(s.Admin())
	var there bool
	err = admin.QueryRowContext(c.t.Context(), "SELECT EXISTS (SELECT FROM pg_tablespace WHERE spcname = 'apart')").Scan(&there)
	if err == nil && !there {
		s.Run("mkdir", c.o.Tables)
		_, err = admin.ExecContext(c.t.Context(), "CREATE TABLESPACE apart LOCATION '"+c.o.Tables+"'")
	}
	if err == nil {
		_, err = admin.ExecContext(c.t.Context(), "ALTER DATABASE "+u.Path[1:]+" SET TABLESPACE apart")
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return dsn
}

// moveLog has PostgreSQL keep its write-ahead log where Options say, as an operator does.
func (c *Cluster) moveLog(s *testdb.Server) {
	c.t.Helper()
	var data string
	if err := s.Open(s.Admin()).QueryRowContext(c.t.Context(), "SHOW data_directory").Scan(&data); err != nil {
		c.t.Fatal(err)
	}
	wal := filepath.Join(data, "pg_wal")
	s.Stop()
	s.Run("mv", wal, c.o.Log)
	s.Run("ln", "-s", c.o.Log, wal)
	s.Restart()
}

// layRoutes says where the NATS servers keep what they have, and find each other.
func (c *Cluster) layRoutes() (at testnats.Place) {
	if c.o.Store != "" {
		at.Store = map[int]string{len(Names) - 1: c.o.Store}
	}
	if !c.o.Proxied {
		return at
	}
	for range Names {
		c.Routes = append(c.Routes, make([]*faultproxy.Proxy, len(Names)))
	}
	at.Route = func(from, to int, addr string) string {
		c.Routes[from][to] = faultproxy.Start(c.t, addr)
		return c.Routes[from][to].Addr()
	}
	return at
}

func (c *Cluster) layWays(name string) {
	if c.Ways == nil {
		c.Ways = map[string]*Ways{}
	}
	w := &Ways{Redis: faultproxy.Start(c.t, c.Redis.Addr)}
	for i := range Names {
		w.NATS = append(w.NATS, faultproxy.Start(c.t, c.NATS.Addr(i)))
	}
	for _, s := range c.SQL {
		w.SQL = append(w.SQL, faultproxy.Start(c.t, s.Addr()))
	}
	c.Ways[name] = w
}

// through is the address with the proxy's in its place. PostgreSQL is told which node it is.
func through(node, dsn string, p *faultproxy.Proxy) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err) // testdb has made it
	}
	u.Host = p.Addr()
	if u.Scheme == "postgres" {
		q := u.Query()
		q.Set("application_name", node)
		u.RawQuery = q.Encode()
	}
	return u.String()
}
