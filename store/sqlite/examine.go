package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

var _ store.Examiner = (*Dir)(nil)

// Examine reads the version of every file. The files stay as they are.
func (d *Dir) Examine(ctx context.Context) []store.Examined {
	control, names := d.examine(ctx, ControlFile, "control")
	if names == nil {
		names = d.Names(true)
	}
	all := []store.Examined{control}
	if control.Err != nil {
		return all
	}
	for _, name := range names {
		e, _ := d.examine(ctx, name, "shard")
		all = append(all, e)
	}
	return all
}

// examine reads one file, and of the control database the shards that there are; nil if
// it does not say.
func (d *Dir) examine(ctx context.Context, name, schema string) (e store.Examined, shards []string) {
	path := filepath.Join(d.path, name)
	e = store.Examined{Name: name, Where: path, Known: known(schema)}
	fail := func(err error) (store.Examined, []string) {
		e.Err = chat.Wrap(kindOf(err), "sqlite.examine", &fileError{path, err})
		if errors.Is(err, fs.ErrNotExist) {
			e.Err = missing("examine", path, err)
		}
		return e, nil
	}
	if _, err := os.Stat(path); err != nil {
		return fail(err)
	}
	if err := checkHeader(path); err != nil {
		return fail(err)
	}
	dsn, err := dataSource(path, url.Values{"mode": {"ro"}, "_busy_timeout": {"5000"}, "_query_only": {"on"}})
	if err != nil {
		return fail(err)
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return fail(err)
	}
	defer db.Close() // it was only read
	if err := db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&e.Version); err != nil {
		return fail(err)
	}
	if schema != "control" {
		return e, nil
	}
	var version int64
	var raw []byte
	err = db.QueryRowContext(ctx, newestMap).Scan(&version, &raw)
	if errors.Is(err, sql.ErrNoRows) {
		return e, nil
	}
	var m *store.Map
	if err == nil {
		m, err = store.DecodeMap(version, raw)
	}
	if err != nil {
		return fail(err)
	}
	return e, m.Shards
}

// known is the newest version of a schema that this program knows.
func known(schema string) (newest int64) {
	entries, _ := migrations.ReadDir("migrations/" + schema) // embedded
	for _, e := range entries {
		number, _, _ := strings.Cut(e.Name(), "_")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			newest = max(newest, n)
		}
	}
	return newest
}
