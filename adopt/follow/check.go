package follow

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// Choice is one way to follow the tables of a source, and what it would mean.
type Choice struct {
	Kind        Kind     `json:"kind"`
	Possible    bool     `json:"possible"`
	Ready       bool     `json:"ready"` // possible as things are: triggers are installed
	Recommended bool     `json:"recommended"`
	Missing     []string `json:"missing,omitempty"` // what keeps it from being possible, with what to do
	New         string   `json:"new"`               // when new rows are seen
	Changes     string   `json:"changes"`
	Deletions   string   `json:"deletions"`
	Notes       []string `json:"notes,omitempty"` // what is to be known, or would make it better
}

// Check finds out which ways of following a source allows: all of them, in the order of
// Kinds, none for files. The one that sees most is recommended. Kind of the configuration
// is not used.
func Check(ctx context.Context, c Config) ([]Choice, error) {
	if c.files() {
		return nil, nil
	}
	s, err := dial(ctx, c, !strings.HasPrefix(c.Source.DSN, "sqlite:")) // the right to delete is looked at, on no row
	if err != nil {
		return nil, err
	}
	defer s.db.Close()
	all, err := s.describeAll(ctx)
	if err != nil {
		return nil, err
	}
	sweep, err := s.sweepTime(ctx, all)
	if err != nil {
		return nil, err
	}
	var choices []Choice
	for _, kind := range Kinds {
		choice := Choice{Kind: kind, Ready: true}
		if err := checks[kind](ctx, s, all, sweep, &choice); err != nil {
			return nil, err
		}
		choice.Possible = len(choice.Missing) == 0
		choice.Ready = choice.Ready && choice.Possible
		choices = append(choices, choice)
	}
	for i := range choices {
		if choices[i].Possible {
			choices[i].Recommended = true
			break
		}
	}
	return choices, s.replica(ctx)
}

// files reports whether the source is files, which are copied and do not change.
func (c *Config) files() bool {
	return source.IsFiles(c.Source.DSN)
}

// Best is the kind that sees most of those which the source is ready for.
func Best(ctx context.Context, c Config) (Kind, error) {
	if c.files() {
		return Nothing, nil
	}
	choices, err := Check(ctx, c)
	if err != nil {
		return "", err
	}
	var missing []string
	for _, choice := range choices {
		if choice.Ready {
			return choice.Kind, nil
		}
		missing = append(missing, choice.Missing...)
	}
	return "", invalid("check", "", "the source cannot be followed as it is: "+strings.Join(missing, "; "))
}

var checks = map[Kind]func(context.Context, *session, []followed, string, *Choice) error{
	Binlog: checkBinlog, Triggers: checkTriggers, Polling: checkPolling,
}

// missing notes an error that says what to do, and passes others on.
func (c *Choice) missing(err error) error {
	var own *chat.Error
	if errors.As(err, &own) && !own.Kind.Retryable() && own.Kind != chat.Internal {
		c.Missing = append(c.Missing, own.Text)
		return nil
	}
	return err
}

// sweepTime is how long a sweep takes, roughly.
func (s *session) sweepTime(ctx context.Context, all []followed) (string, error) {
	if s.Sweep < 0 {
		return "never", nil
	}
	var total int64
	for _, f := range all {
		if f.watched {
			continue
		}
		var n int64
		if err := s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+f.table.table()).Scan(&n); err != nil {
			return "", fail("check", f.table.name, err)
		}
		total += n
	}
	return "within " + max(time.Second, time.Duration(total)*time.Second/time.Duration(s.Sweep)).Round(time.Second).String(), nil
}

// replica is an error if the source is a copy of another database: what is polled or
// read there comes late, and in another order.
func (s *session) replica(ctx context.Context) error {
	question := map[source.Engine]string{source.MySQL: "SELECT @@global.read_only", source.Postgres: "SELECT pg_is_in_recovery()"}[s.engine]
	if question == "" {
		return nil
	}
	var is bool
	if err := s.db.QueryRowContext(ctx, question).Scan(&is); err != nil || !is {
		return fail("check", "", err)
	}
	return invalid("check", "", "the source only reads: it is a replica, where rows appear late and in another order. Name the primary in source.dsn")
}

func checkBinlog(ctx context.Context, s *session, all []followed, sweep string, c *Choice) error {
	c.New, c.Changes, c.Deletions = "at once", "at once", "at once"
	server, err := lookAtBinlog(ctx, s)
	if err != nil {
		return c.missing(err)
	}
	if err := c.missing(server.usable()); err != nil {
		return err
	}
	rights, err := rightsOf(ctx, s)
	if err != nil {
		return err
	}
	if !rights.everywhere("REPLICATION SLAVE", "REPLICATION REPLICA") {
		c.Missing = append(c.Missing, "the user of the source may not read the binary log: GRANT REPLICATION SLAVE ON *.* TO "+rights.user)
	}
	if !server.tells() {
		c.New, c.Changes, c.Deletions = "after a second", "after a second", "after a second"
		c.Notes = append(c.Notes, "the server has no GTIDs, so that it does not tell when a transaction can be seen: rows are read a second later (gtid_mode=ON ends this)")
	}
	for _, f := range all {
		if f.watched && server.image != "FULL" {
			c.Notes = append(c.Notes, fmt.Sprintf("binlog_row_image=%s: changes of rows of %s that leave %s alone are not seen", server.image, f.table.name, f.key.name))
		}
	}
	c.Notes = append(c.Notes, "what foreign keys delete with ON DELETE CASCADE is in no binary log: it is found "+sweep)
	return nil
}

func checkTriggers(ctx context.Context, s *session, _ []followed, sweep string, c *Choice) error {
	at := "after " + s.Interval.String()
	c.New, c.Changes, c.Deletions = at, at, at
	if _, err := triggersOf(ctx, s); err != nil {
		return c.missing(err)
	}
	err := checkQueue(ctx, s)
	if kind := chat.KindOf(err); err != nil && kind != chat.NotFound && kind != chat.Conflict && kind != chat.Forbidden {
		return c.missing(err)
	}
	if c.Ready = err == nil; !c.Ready {
		c.Notes = append(c.Notes, "\"roomtide adopt triggers install\" makes the triggers")
		if err := s.mayMakeTriggers(ctx, c); err != nil {
			return err
		}
	}
	c.Notes = append(c.Notes, "each write of the site writes one row more, into "+changeTable+"; the triggers run with the rights of the user who made them, who must stay",
		"what foreign keys delete with ON DELETE CASCADE runs no triggers in MySQL: it is found "+sweep)
	return nil
}

// mayMakeTriggers notes what keeps the user from making them.
func (s *session) mayMakeTriggers(ctx context.Context, choice *Choice) error {
	if s.engine == source.Postgres {
		var create bool
		if err := s.db.QueryRowContext(ctx, "SELECT has_schema_privilege(current_schema(), 'CREATE')").Scan(&create); err != nil {
			return fail("check", "", err)
		}
		if !create {
			choice.Missing = append(choice.Missing, "the user of the source may make no tables and functions: let an administrator run \"roomtide adopt triggers print\"")
		}
		return nil
	}
	rights, err := rightsOf(ctx, s)
	if err != nil {
		return err
	}
	if !rights.here("TRIGGER") || !rights.here("CREATE") {
		choice.Missing = append(choice.Missing, "the user of the source may make no triggers: GRANT TRIGGER, CREATE, INSERT, SELECT, DELETE, DROP on the database to "+rights.user+
			", or let an administrator run \"roomtide adopt triggers print\"")
	}
	return nil
}

func checkPolling(ctx context.Context, s *session, all []followed, sweep string, c *Choice) error {
	c.New, c.Changes, c.Deletions = "after "+s.Interval.String(), "", "among the newest rows after a second, else "+sweep
	parts, err := pollParts(ctx, s)
	if err != nil {
		return c.missing(err)
	}
	for _, p := range parts {
		if p.changed != nil {
			c.Changes = "after " + s.Interval.String() + ", by the column " + p.changed.name
		}
	}
	if c.Changes == "" {
		c.Changes = c.Deletions
	}
	for _, f := range all {
		if f.watched && f.key.prefix == "" && !hasPart(parts, f.table) {
			c.Notes = append(c.Notes, "the watched table "+f.table.name+" has no whole number as its key: what is new there is not seen")
		}
		if !f.key.integer && !f.watched {
			c.Deletions = sweep
		}
	}
	if s.engine == source.MySQL {
		_, known, err := openTransactions(ctx, s.db, s.engine)
		if err != nil {
			return err
		}
		if !known {
			c.Notes = append(c.Notes, fmt.Sprintf("without the right PROCESS open transactions cannot be listed: rows of one that lasts longer than %s are found %s (GRANT PROCESS ON *.* ends this)", s.MaxAge, sweep))
		}
	}
	return s.sequences(ctx, all, sweep, c)
}

func hasPart(parts []part, t *described) bool {
	for _, p := range parts {
		if p.table.name == t.name {
			return true
		}
	}
	return false
}

// sequences notes those of PostgreSQL whose numbers sessions take in advance: a row may
// get a number that is lower than those of long ago.
func (s *session) sequences(ctx context.Context, all []followed, sweep string, choice *Choice) error {
	if s.engine != source.Postgres {
		return nil
	}
	for _, f := range all {
		var cache sql.NullInt64
		err := s.db.QueryRowContext(ctx, "SELECT (SELECT seqcache FROM pg_sequence WHERE seqrelid = pg_get_serial_sequence($1, $2)::regclass)",
			f.table.table(), f.key.name).Scan(&cache)
		if err != nil {
			return fail("check", f.table.name, err)
		}
		if cache.Int64 > 1 && !f.watched {
			choice.Notes = append(choice.Notes, fmt.Sprintf("sessions take %d numbers for %s in advance (CACHE of its sequence), and may use them much later: such rows are found %s", cache.Int64, f.table.name, sweep))
		}
	}
	return nil
}

// rights are what SHOW GRANTS says of the user.
type rights struct {
	user  string
	lines []string
}

func rightsOf(ctx context.Context, s *session) (r rights, err error) {
	if err := s.db.QueryRowContext(ctx, "SELECT CURRENT_USER()").Scan(&r.user); err != nil {
		return r, fail("check", "", err)
	}
	rows, err := s.db.QueryContext(ctx, "SHOW GRANTS")
	if err != nil {
		return r, fail("check", "", err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return r, fail("check", "", err)
		}
		r.lines = append(r.lines, strings.ToUpper(line))
	}
	return r, fail("check", "", rows.Err())
}

// everywhere reports whether one of the rights is given for the whole server.
func (r rights) everywhere(names ...string) bool {
	return r.given(" ON *.* TO ", append(names, "ALL PRIVILEGES"))
}

// here reports whether a right is given for some database; for which one, the attempt
// will show.
func (r rights) here(name string) bool { return r.given(" ON ", []string{name, "ALL PRIVILEGES"}) }

func (r rights) given(where string, names []string) bool {
	for _, line := range r.lines {
		list, _, ok := strings.Cut(line, where)
		if !ok || strings.Contains(list, "PROXY") {
			continue
		}
		for _, name := range names {
			if strings.Contains(list, name) {
				return true
			}
		}
	}
	return false
}
