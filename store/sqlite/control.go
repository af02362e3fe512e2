package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Control is store.Control in a file of its own. Several processes may have it
// open: tools that manage API keys need no lock and no stopped server.
type Control struct {
	db *database
}

var _ store.Control = (*Control)(nil)

// OpenControl opens the control database, and makes it if it is missing.
func OpenControl(ctx context.Context, path string, log *slog.Logger) (*Control, error) {
	db, err := openDatabase(ctx, path, "control", log)
	if err != nil {
		return nil, err
	}
	return &Control{db: db}, nil
}

// Close closes the file.
func (c *Control) Close() error { return c.db.close() }

func (c *Control) Deployment(ctx context.Context) (id string, err error) {
	const get = "SELECT id FROM deployment"
	err = c.db.r.QueryRowContext(ctx, get).Scan(&id)
	if err == nil || !errors.Is(err, sql.ErrNoRows) {
		return id, c.db.fail("deployment", err)
	}
	err = c.db.write(ctx, "deployment", func(w *writer) error {
		_, err := w.exec("INSERT INTO deployment (one, id) VALUES (1, ?) ON CONFLICT (one) DO NOTHING", rand.Text())
		return err
	})
	if err == nil {
		err = c.db.fail("deployment", c.db.r.QueryRowContext(ctx, get).Scan(&id))
	}
	return id, err
}

const newestMap = "SELECT version, body FROM slot_maps ORDER BY version DESC LIMIT 1"

func (c *Control) Map(ctx context.Context) (*store.Map, error) {
	var version int64
	var raw []byte
	err := c.db.r.QueryRowContext(ctx, newestMap).Scan(&version, &raw)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("map", "slot map")
	}
	var m *store.Map
	if err == nil {
		m, err = store.DecodeMap(version, raw)
	}
	return m, c.db.fail("map", err)
}

func (c *Control) SaveMap(ctx context.Context, m *store.Map) error {
	if err := m.Check(); err != nil {
		return err
	}
	raw, err := m.Encode()
	if err != nil {
		return c.db.fail("save_map", err)
	}
	const insert = `INSERT INTO slot_maps (version, body)
		SELECT ?1, ?2 WHERE ?1 = 1 + (SELECT coalesce(max(version), 0) FROM slot_maps)`
	return c.db.write(ctx, "save_map", func(w *writer) error {
		n, err := w.exec(insert, m.Version, raw)
		if err == nil && n == 0 {
			err = &chat.Error{Kind: chat.Conflict, Op: "sqlite.save_map", Text: "the slot map has been changed meanwhile"}
		}
		return err
	})
}

func (c *Control) Keys(ctx context.Context) ([]store.APIKey, error) {
	rows, err := c.db.r.QueryContext(ctx, "SELECT id, hash, name, scopes, created, revoked FROM api_keys ORDER BY created, rowid")
	if err != nil {
		return nil, c.db.fail("keys", err)
	}
	keys, err := collect(rows, 0, func(k *store.APIKey) error {
		var scopes []byte
		if err := rows.Scan(&k.ID, &k.Hash, &k.Name, &scopes, &k.Created, &k.Revoked); err != nil {
			return err
		}
		return json.Unmarshal(scopes, &k.Scopes)
	})
	return keys, c.db.fail("keys", err)
}

func (c *Control) SaveKey(ctx context.Context, k store.APIKey) error {
	scopes, err := json.Marshal(k.Scopes)
	if err != nil {
		return c.db.fail("save_key", err)
	}
	if k.Hash == nil {
		k.Hash = []byte{}
	}
	const upsert = `INSERT INTO api_keys (id, hash, name, scopes, created, revoked) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, name = excluded.name, scopes = excluded.scopes,
			created = excluded.created, revoked = excluded.revoked`
	return c.db.write(ctx, "save_key", func(w *writer) error {
		_, err := w.exec(upsert, k.ID, k.Hash, k.Name, string(scopes), k.Created, k.Revoked)
		return err
	})
}

func (c *Control) Renew(ctx context.Context, node string, until int64) error {
	return c.db.write(ctx, "renew", func(w *writer) error {
		_, err := w.exec("INSERT INTO nodes (node, until) VALUES (?, ?) ON CONFLICT (node) DO UPDATE SET until = excluded.until", node, until)
		if err == nil {
			_, err = w.exec("DELETE FROM nodes WHERE until < ?", until-store.LeaseKept)
		}
		return err
	})
}

func (c *Control) Nodes(ctx context.Context, now int64) ([]string, error) {
	rows, err := c.db.r.QueryContext(ctx, "SELECT node FROM nodes WHERE until > ? ORDER BY node", now)
	if err != nil {
		return nil, c.db.fail("nodes", err)
	}
	nodes, err := collect(rows, 0, func(n *string) error { return rows.Scan(n) })
	return nodes, c.db.fail("nodes", err)
}

func (c *Control) Moves(ctx context.Context) ([]store.MoveRow, error) {
	rows, err := c.db.r.QueryContext(ctx, "SELECT id, body FROM moves ORDER BY id")
	if err != nil {
		return nil, c.db.fail("moves", err)
	}
	moves, err := collect(rows, 0, func(m *store.MoveRow) error { return rows.Scan(&m.ID, &m.Body) })
	return moves, c.db.fail("moves", err)
}

func (c *Control) SaveMove(ctx context.Context, m store.MoveRow, was []byte) error {
	text, args := "INSERT INTO moves (id, body) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", []any{m.ID, m.Body}
	if was != nil {
		text, args = "UPDATE moves SET body = ? WHERE id = ? AND body = ?", []any{m.Body, m.ID, was}
	}
	return c.db.write(ctx, "save_move", func(w *writer) error {
		n, err := w.exec(text, args...)
		if err == nil && n == 0 {
			err = &chat.Error{Kind: chat.Conflict, Op: "sqlite.save_move", Text: "the move has been changed meanwhile"}
		}
		return err
	})
}

func (c *Control) Level(ctx context.Context) (l store.Level, err error) {
	err = c.db.r.QueryRowContext(ctx, "SELECT level, version FROM levels ORDER BY level DESC LIMIT 1").Scan(&l.Number, &l.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Level{}, nil
	}
	return l, c.db.fail("level", err)
}

func (c *Control) RaiseLevel(ctx context.Context, l store.Level) error {
	return c.db.write(ctx, "raise_level", func(w *writer) error {
		_, err := w.exec("INSERT INTO levels (level, version) VALUES (?, ?) ON CONFLICT (level) DO NOTHING", int64(l.Number), l.Version)
		return err
	})
}

func (c *Control) Adoption(ctx context.Context) (a store.Adoption, err error) {
	var generation int64
	var body []byte
	err = c.db.r.QueryRowContext(ctx, "SELECT generation, body FROM adoption ORDER BY generation DESC LIMIT 1").Scan(&generation, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Adoption{}, nil
	}
	if err == nil {
		a, err = store.DecodeAdoption(generation, body)
	}
	return a, c.db.fail("adoption", err)
}

func (c *Control) SaveAdoption(ctx context.Context, a store.Adoption) error {
	body, err := store.EncodeAdoption(&a)
	if err != nil {
		return c.db.fail("save_adoption", err)
	}
	const insert = `INSERT INTO adoption (generation, body)
		SELECT ?1, ?2 WHERE ?1 = 1 + (SELECT coalesce(max(generation), 0) FROM adoption)`
	return c.db.write(ctx, "save_adoption", func(w *writer) error {
		n, err := w.exec(insert, a.Generation, body)
		if err == nil && n == 0 {
			err = &chat.Error{Kind: chat.Conflict, Op: "sqlite.save_adoption", Text: "the state has been changed meanwhile"}
		}
		return err
	})
}

func (c *Control) Found(ctx context.Context, f store.Founding) error {
	raw, err := f.Map.Encode()
	if err != nil {
		return c.db.fail("found", err)
	}
	body, err := store.EncodeAdoption(&f.Adoption)
	if err != nil {
		return c.db.fail("found", err)
	}
	return c.db.write(ctx, "found", func(w *writer) error {
		n, err := w.exec("INSERT INTO slot_maps (version, body) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM slot_maps)", f.Map.Version, raw)
		if err == nil && n == 0 {
			return &chat.Error{Kind: chat.Conflict, Op: "sqlite.found", Text: "it has a slot map"}
		}
		if err == nil {
			_, err = w.exec("INSERT INTO deployment (one, id) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET id = excluded.id", f.Deployment)
		}
		if err == nil && f.Adoption.Generation > 0 {
			_, err = w.exec("INSERT INTO adoption (generation, body) VALUES (?, ?)", f.Adoption.Generation, body)
		}
		return err
	})
}
