package chaos

import (
	databasesql "database/sql"

	"github.com/roomtide/roomtide/internal/testdb"
)

// Who has owned the lanes, as the databases of PostgreSQL saw it: triggers note which node has written
// in each epoch of a lane, and each time that a lease has got another holder, how long the
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

// owners calls f with each database of PostgreSQL.
func (r *run) owners(f func(db *databasesql.DB)) {
	for i, url := range r.c.Databases() {
		if s := r.c.SQL[i%len(r.c.SQL)]; s.Engine() == testdb.Postgres {
			db := s.Open(url)
			f(db)
			db.Close()
		}
	}
}

func (r *run) watchOwners() {
	r.t.Helper()
	r.owners(func(db *databasesql.DB) {
		for _, text := range watching {
			if _, err := db.ExecContext(r.t.Context(), text); err != nil {
				r.t.Fatalf("%s: %v", text, err)
			}
		}
	})
}

// checkOwners looks at what the triggers have noted: no epoch of a lane has two nodes that wrote,
// and no lease was taken before it had run out.
func (r *run) checkOwners() {
	r.t.Helper()
	var epochs, shared, takes, early, earliest int64
	r.owners(func(db *databasesql.DB) {
		var e, two, n, soon, most int64
		row := db.QueryRowContext(r.t.Context(), "SELECT count(*), count(*) FILTER (WHERE nodes > 1) FROM (SELECT count(*) AS nodes FROM chaos_writers GROUP BY lane, epoch) AS epochs")
		if err := row.Scan(&e, &two); err != nil {
			r.t.Fatal(err)
		}
		row = db.QueryRowContext(r.t.Context(), "SELECT count(*), count(*) FILTER (WHERE ms > 0), coalesce(max(ms), 0) FROM chaos_takes WHERE was <> ''")
		if err := row.Scan(&n, &soon, &most); err != nil {
			r.t.Fatal(err)
		}
		if e == 0 {
			r.t.Error("no node has written into a lane: the triggers see nothing")
		}
		epochs, shared, takes, early, earliest = epochs+e, shared+two, takes+n, early+soon, max(earliest, most)
	})
	r.t.Logf("owners in PostgreSQL: %d epochs, %d of them with two nodes; leases got another holder %d times, %d of them early, at most by %d ms", epochs, shared, takes, early, earliest)
	if shared > 0 || early > 0 {
		r.t.Errorf("two nodes wrote in %d epochs of lanes; %d leases were taken before they had run out", shared, early)
	}
}
