package chaos

import (
	"context"
	databasesql "database/sql"
	"net/url"
	"testing"

	"github.com/roomtide/roomtide/internal/testdb"
)

// Which nodes have owned the lanes, as the databases of PostgreSQL saw it: triggers note which
// node has written in each epoch of a lane, and each time that a node has got a lease, how long the
// one before still had by the clock of the database. It does not matter what nodes
// believe, or what their clocks say.
var watching = []string{
	"CREATE TABLE public.chaos_writers (lane bigint, epoch bigint, node text, PRIMARY KEY (lane, epoch, node))",
	"CREATE TABLE public.chaos_takes (lane bigint, was text, holder text, ms bigint)",
	`CREATE FUNCTION public.chaos_wrote() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
		INSERT INTO public.chaos_writers VALUES (NEW.lane, NEW.epoch, current_setting('application_name')) ON CONFLICT DO NOTHING;
		RETURN NULL; END $$`,
	`CREATE FUNCTION public.chaos_took() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
		INSERT INTO public.chaos_takes VALUES (NEW.lane, OLD.holder, NEW.holder, OLD.until - CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint));
		RETURN NULL; END $$`,
	"CREATE TRIGGER chaos_wrote AFTER UPDATE ON roomtide_lanes FOR EACH ROW EXECUTE FUNCTION public.chaos_wrote()",
	"CREATE TRIGGER chaos_took AFTER UPDATE ON roomtide_leases FOR EACH ROW WHEN (NEW.holder NOT IN (OLD.holder, '')) EXECUTE FUNCTION public.chaos_took()",
}

// ownersSeen is what the triggers have noted.
type ownersSeen struct {
	epochs, shared int64 // of lanes, and those of them in which two nodes have written
	takes, early   int64 // of leases that a node had, and those of them that had not run out
	earliest       int64 // ms by which one was taken too early
}

func watchOwners(ctx context.Context, db *databasesql.DB) error {
	for _, text := range watching {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// add adds what the triggers of a database have noted.
func (o *ownersSeen) add(ctx context.Context, db *databasesql.DB) error {
	var e, shared, takes, early, most int64
	row := db.QueryRowContext(ctx, "SELECT count(*), count(*) FILTER (WHERE nodes > 1) FROM (SELECT count(*) AS nodes FROM chaos_writers GROUP BY lane, epoch) AS epochs")
	if err := row.Scan(&e, &shared); err != nil {
		return err
	}
	row = db.QueryRowContext(ctx, "SELECT count(*), count(*) FILTER (WHERE ms > 0), coalesce(max(ms), 0) FROM chaos_takes WHERE was <> ''")
	if err := row.Scan(&takes, &early, &most); err != nil {
		return err
	}
	o.epochs, o.shared, o.takes, o.early, o.earliest = o.epochs+e, o.shared+shared, o.takes+takes, o.early+early, max(o.earliest, most)
	return nil
}

// owners calls f with each database of PostgreSQL.
func (r *run) owners(f func(ctx context.Context, db *databasesql.DB) error) {
	r.t.Helper()
	for i, url := range r.c.Databases() {
		if s := r.c.SQL[i%len(r.c.SQL)]; s.Engine() == testdb.Postgres {
			db := s.Open(url)
			err := f(r.t.Context(), db)
			db.Close()
			if err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// checkOwners looks at what the triggers have noted: no epoch of a lane has two nodes that wrote,
// and no lease was taken before it had run out.
func (r *run) checkOwners() {
	r.t.Helper()
	var all ownersSeen
	r.owners(func(ctx context.Context, db *databasesql.DB) error {
		before := all.epochs
		err := all.add(ctx, db)
		if err == nil && all.epochs == before {
			r.t.Error("no node has written into a lane: the triggers see nothing")
		}
		return err
	})
	r.t.Logf("owners in PostgreSQL: %d epochs, %d of them with two nodes; leases that ran out were taken %d times, %d of them early, at most by %d ms", all.epochs, all.shared, all.takes, all.early, all.earliest)
	if all.shared > 0 || all.early > 0 {
		r.t.Errorf("two nodes wrote in %d epochs of lanes; %d leases were taken before they had run out", all.shared, all.early)
	}
}

// The triggers see two nodes that write in one epoch, and a lease that is taken early; and
// nothing in what nodes may do.
func TestOwnersAreSeen(t *testing.T) {
	s := testdb.Start(t, testdb.Postgres)
	dsn := s.Database()
	db := s.Open(dsn)
	defer db.Close()
	as := func(node, text string) {
		t.Helper()
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("application_name", node)
		u.RawQuery = q.Encode()
		db := s.Open(u.String())
		defer db.Close()
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(text, err)
		}
	}
	const now = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"
	as("a", "CREATE TABLE roomtide_lanes (lane bigint, epoch bigint, position bigint)")
	as("a", "CREATE TABLE roomtide_leases (lane bigint, holder text, until bigint)")
	as("a", "INSERT INTO roomtide_lanes VALUES (0, 1, 1)")
	as("a", "INSERT INTO roomtide_leases VALUES (0, '', 0)")
	if err := watchOwners(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	want := func(want ownersSeen) {
		t.Helper()
		var got ownersSeen
		err := got.add(t.Context(), db)
		if late := got.earliest; want.early > 0 && late > 0 {
			want.earliest = late
		}
		if err != nil || got != want {
			t.Errorf("%+v, want %+v, %v", got, want, err)
		}
	}
	as("a", "UPDATE roomtide_leases SET holder = 'a', until = "+now+" + 60000")
	as("a", "UPDATE roomtide_lanes SET position = 2")
	as("a", "UPDATE roomtide_leases SET holder = '', until = "+now) // given back
	as("b", "UPDATE roomtide_leases SET holder = 'b', until = "+now)
	as("b", "UPDATE roomtide_lanes SET epoch = 2, position = 3")
	as("c", "UPDATE roomtide_leases SET holder = 'c', until = "+now+" + 60000") // has run out
	want(ownersSeen{epochs: 2, takes: 1})
	as("b", "UPDATE roomtide_leases SET holder = 'b'")
	as("c", "UPDATE roomtide_lanes SET position = 4")
	want(ownersSeen{epochs: 2, shared: 1, takes: 2, early: 1})
}
