package adopt

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// State is the file of a move. One process works with it at a time; others may look into
// it. Safe for concurrent use.
type State struct{ db *sql.DB }

// The key of a row is a number where it looks like one, so that rows are in the order that
// the source has them in.
const stateSchema = `
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (part INTEGER NOT NULL, run INTEGER NOT NULL, n INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (part, run, n));
CREATE TABLE IF NOT EXISTS rows (key NOT NULL, room TEXT NOT NULL, user TEXT NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL, deleted INTEGER NOT NULL, time INTEGER NOT NULL, PRIMARY KEY (room, key)) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS rows_by_seq ON rows (room, seq);
CREATE TABLE IF NOT EXISTS members (room TEXT NOT NULL, user TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (room, user)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dirty (key PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unmirrored (room TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (room, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (room TEXT NOT NULL, user TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (room, user)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS problems (class TEXT NOT NULL, key NOT NULL, field TEXT NOT NULL, detail TEXT NOT NULL, refused INTEGER NOT NULL, PRIMARY KEY (class, key, field)) WITHOUT ROWID;
`

// OpenState opens the file, and makes it if it is missing.
func OpenState(ctx context.Context, path string) (*State, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	pragmas := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(10000)", "cache_size(-32000)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: pragmas.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, stateSchema); err != nil {
		db.Close()
		return nil, &chat.Error{Kind: chat.Invalid, Op: "adopt.state", Text: "the state file " + path + " cannot be used: " + err.Error(), Err: err}
	}
	return &State{db}, nil
}

// Close closes the file.
func (s *State) Close() error { return s.db.Close() }

// stateKey is a key as the file has it.
func stateKey(k source.Key) any {
	if n, err := strconv.ParseInt(string(k), 10, 64); err == nil && strconv.FormatInt(n, 10) == string(k) {
		return n
	}
	return string(k)
}

// known is what was imported of a row, or mirrored in it.
type known struct {
	Key     source.Key
	Room    string
	User    string
	Seq     int64
	Hash    hash
	Deleted bool
	Time    int64 // of the message, Unix milliseconds
}

// fact reads a value, "" if there is none.
func (s *State) fact(ctx context.Context, name string) (value string, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT value FROM facts WHERE name = ?", name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

func (s *State) setFact(ctx context.Context, name, value string) error {
	return s.write(ctx, func(tx *sql.Tx) error { return putFact(ctx, tx, name, value) })
}

func putFact(ctx context.Context, tx *sql.Tx, name, value string) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
	return err
}

// write runs one transaction.
func (s *State) write(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// known returns what is known of the rows.
func (s *State) known(ctx context.Context, keys []source.Key) (map[source.Key]known, error) {
	found := make(map[source.Key]known, len(keys))
	if len(keys) == 0 {
		return found, nil
	}
	list := make([]any, len(keys))
	for i, k := range keys {
		list[i] = stateKey(k)
	}
	rows, err := s.db.QueryContext(ctx, "SELECT key, room, user, seq, hash, deleted, time FROM rows WHERE key IN (?"+repeat(", ?", len(keys)-1)+")", list...)
	err = each(rows, err, func() error {
		k, err := scanKnown(rows)
		found[k.Key] = k
		return err
	})
	return found, err
}

func scanKnown(rows *sql.Rows) (k known, err error) {
	var key any
	var h []byte
	if err := rows.Scan(&key, &k.Room, &k.User, &k.Seq, &h, &k.Deleted, &k.Time); err != nil {
		return k, err
	}
	copy(k.Hash[:], h)
	k.Key = keyOf(key)
	return k, nil
}

func keyOf(v any) source.Key {
	switch v := v.(type) {
	case int64:
		return source.Key(strconv.FormatInt(v, 10))
	case []byte:
		return source.Key(v)
	case string:
		return source.Key(v)
	}
	return ""
}

// each runs do for every row.
func each(rows *sql.Rows, err error, do func() error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := do(); err != nil {
			return err
		}
	}
	return rows.Err()
}

func repeat(s string, n int) string {
	b := make([]byte, 0, len(s)*n)
	for range n {
		b = append(b, s...)
	}
	return string(b)
}

// bySeq returns the row of a message.
func (s *State) bySeq(ctx context.Context, room string, seq int64) (k known, ok bool, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT key, room, user, seq, hash, deleted, time FROM rows WHERE room = ? AND seq = ?", room, seq)
	err = each(rows, err, func() (err error) {
		k, err = scanKnown(rows)
		ok = true
		return err
	})
	return k, ok, err
}

const putRow = "INSERT OR REPLACE INTO rows (key, room, user, seq, hash, deleted, time) VALUES (?, ?, ?, ?, ?, ?, ?)"

func putKnown(ctx context.Context, tx *sql.Tx, k *known) error {
	_, err := tx.ExecContext(ctx, putRow, stateKey(k.Key), k.Room, k.User, k.Seq, k.Hash[:], k.Deleted, k.Time)
	return err
}

// KnownKeys implements follow.Known.
func (s *State) KnownKeys(ctx context.Context, after source.Key, limit int) (keys []source.Key, err error) {
	var rows *sql.Rows
	if after == "" {
		rows, err = s.db.QueryContext(ctx, "SELECT key FROM rows WHERE deleted = 0 ORDER BY key LIMIT ?", limit)
	} else {
		rows, err = s.db.QueryContext(ctx, "SELECT key FROM rows WHERE deleted = 0 AND key > ? ORDER BY key LIMIT ?", stateKey(after), limit)
	}
	err = each(rows, err, func() error {
		var key any
		err := rows.Scan(&key)
		keys = append(keys, keyOf(key))
		return err
	})
	return keys, err
}

// takeDirty returns keys that a comparison has named, and removes them when they are done.
func (s *State) takeDirty(ctx context.Context, limit int) (keys []source.Key, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT key FROM dirty LIMIT ?", limit)
	err = each(rows, err, func() error {
		var key any
		err := rows.Scan(&key)
		keys = append(keys, keyOf(key))
		return err
	})
	return keys, err
}

func (s *State) addDirty(ctx context.Context, keys []source.Key) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		for _, k := range keys {
			if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO dirty (key) VALUES (?)", stateKey(k)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *State) dropDirty(ctx context.Context, keys []source.Key) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		for _, k := range keys {
			if _, err := tx.ExecContext(ctx, "DELETE FROM dirty WHERE key = ?", stateKey(k)); err != nil {
				return err
			}
		}
		return nil
	})
}

// putProblem notes what did not fit: it is counted and listed, never dropped silently.
func putProblem(ctx context.Context, tx *sql.Tx, class string, key source.Key, field, detail string, refused bool) error {
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO problems (class, key, field, detail, refused) VALUES (?, ?, ?, ?, ?)", class, stateKey(key), field, detail, refused)
	return err
}

// ProblemCount is how many rows have a problem of a class.
type ProblemCount struct {
	Class   string `json:"class"`
	Rows    int64  `json:"rows"`
	Refused int64  `json:"refused"` // are not in Roomtide, or not in the old table, because of it
	Example string `json:"example"` // key of one of the rows
}

// Problems counts all that were noted.
func (s *State) Problems(ctx context.Context) (all []ProblemCount, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT class, count(*), sum(refused), min(key) FROM problems GROUP BY class ORDER BY class")
	err = each(rows, err, func() error {
		var c ProblemCount
		var key any
		err := rows.Scan(&c.Class, &c.Rows, &c.Refused, &key)
		c.Example = string(keyOf(key))
		all = append(all, c)
		return err
	})
	return all, err
}

// Beat is what the process that runs says of itself every second, for the others.
type Beat struct {
	At       time.Time `json:"at"`
	Phase    string    `json:"phase"`              // "copy", "follow" or why it waits
	Total    int64     `json:"total"`              // rows in the source when the copy began
	Read     int64     `json:"read"`               // of them, read
	Imported int64     `json:"imported"`           // rows that are in Roomtide
	Mirrored int64     `json:"mirrored"`           // messages that were written into the old table
	Marked   int64     `json:"marked"`             // read marks that were written into the old tables
	Late     int64     `json:"late"`               // rows that came the old way behind the switch
	Rate     float64   `json:"rate"`               // rows a second that are read or imported
	Lag      float64   `json:"lag"`                // seconds that the follower is behind
	CaughtUp time.Time `json:"caught_up"`          // everything in the source before it is in Roomtide
	Drained  time.Time `json:"drained"`            // everything in Roomtide before it is in the old table
	Trouble  string    `json:"trouble,omitempty"`  // what is tried again
	Readonly string    `json:"readonly,omitempty"` // why nothing is written into the old table
}

// done counts rows as often as something is done with them: they are read, and imported.
func (b Beat) done() int64 { return b.Read + b.Imported }

// Left is how long the copy takes at this rate, 0 if that is not known, or it is over.
func (b Beat) Left() time.Duration {
	if b.Rate <= 0 || !strings.HasPrefix(b.Phase, "copy") {
		return 0
	}
	return time.Duration(float64(max(0, 2*b.Total-b.done())) / b.Rate * float64(time.Second)).Round(time.Second)
}

// Beat returns what the process that runs has said last; the zero Beat: nothing.
func (s *State) Beat(ctx context.Context) (b Beat, err error) {
	text, err := s.fact(ctx, "beat")
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &b)
	}
	return b, err
}

func (s *State) setBeat(ctx context.Context, b *Beat) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return s.setFact(ctx, "beat", string(text))
}
