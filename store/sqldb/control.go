package sqldb

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Control is store.Control over an engine. Several nodes may have it open.
type Control struct {
	db       Engine
	name     string
	findings []Finding
}

var _ store.Control = (*Control)(nil)

// NewControl returns the control database in db, which has its tables. Closing it
// closes db.
func NewControl(name string, db Engine, findings []Finding) *Control {
	return &Control{db: db, name: name, findings: findings}
}

// Warnings are what was found when the database was opened.
func (c *Control) Warnings() []Finding { return c.findings }

func (c *Control) Close() error { return c.db.Close() }

// The tables of the control database.
var (
	deployment = Table{"deployment", []Column{{Name: "one"}, {Name: "id", Kind: ID}}, 1}
	slotMaps   = Table{"slot_maps", []Column{{Name: "version"}, {Name: "body", Kind: Bytes}}, 1}
	apiKeys    = Table{"api_keys", append([]Column{{Name: "id", Kind: ID}}, columns(Bytes, "hash", Text, "name", Bytes, "scopes",
		Int, "created", Int, "revoked")...), 1}
	nodes  = Table{"nodes", []Column{node, {Name: "until"}}, 1}
	moves  = Table{"moves", []Column{{Name: "id"}, {Name: "body", Kind: Bytes}}, 1}
	levels = Table{"levels", []Column{{Name: "level"}, {Name: "version", Kind: Text}}, 1}

	adoption = Table{"adoption", []Column{{Name: "generation"}, {Name: "body", Kind: Bytes}}, 1}
)

// insert is the statement that inserts one row.
func insert(t *Table) string { return t.Insert() + Tuple(len(t.Columns)) }

func (c *Control) Deployment(ctx context.Context) (id string, err error) {
	get := func() error {
		return c.db.Ask(ctx, Question{Text: "SELECT id FROM {deployment} WHERE one = 1", Row: func(s Scanner) error { return s.Scan(&id) }})
	}
	if err := get(); err != nil || id != "" {
		return id, err
	}
	err = c.db.Exec(ctx, Statement{Text: insert(&deployment), Args: []any{int64(1), rand.Text()}})
	if err == nil || chat.KindOf(err) == chat.Conflict { // another node was first
		err = get()
	}
	return id, err
}

func (c *Control) Map(ctx context.Context) (*store.Map, error) {
	var version int64
	var raw []byte
	err := c.db.Ask(ctx, Question{
		Text: "SELECT version, body FROM {slot_maps} ORDER BY version DESC LIMIT 1",
		Row:  func(s Scanner) error { return s.Scan(&version, &raw) },
	})
	if err == nil && raw == nil {
		err = &chat.Error{Kind: chat.NotFound, Op: "sqldb.map", Subject: c.name, Err: missing("slot map")}
	}
	if err != nil {
		return nil, err
	}
	return store.DecodeMap(version, raw)
}

func (c *Control) SaveMap(ctx context.Context, m *store.Map) error {
	if err := m.Check(); err != nil {
		return err
	}
	raw, err := m.Encode()
	if err == nil {
		err = c.saveNext(ctx, &slotMaps, m.Version, raw)
	}
	if chat.KindOf(err) == chat.Conflict {
		return &chat.Error{Kind: chat.Conflict, Op: "sqldb.save_map", Subject: c.name, Text: "the slot map has been changed meanwhile", Err: err}
	}
	return err
}

// saveNext inserts a row of number and body, if the number is the next one: of several that
// do so at once, one succeeds. Otherwise: Conflict.
func (c *Control) saveNext(ctx context.Context, t *Table, number int64, body []byte) error {
	var newest int64
	err := c.db.Ask(ctx, Question{
		Text: "SELECT coalesce(max(" + t.Columns[0].Name + "), 0) FROM {" + t.Name + "}",
		Row:  func(s Scanner) error { return s.Scan(&newest) },
	})
	if err == nil && number != newest+1 {
		err = &chat.Error{Kind: chat.Conflict}
	}
	if err != nil {
		return err
	}
	return c.db.Exec(ctx, Statement{Text: insert(t), Args: []any{number, body}})
}

// Keys are in the order in which they were inserted; n counts them.
func (c *Control) Keys(ctx context.Context) (keys []store.APIKey, err error) {
	scan := func(s Scanner, k *store.APIKey) error {
		var scopes []byte
		if err := s.Scan(&k.ID, &k.Hash, &k.Name, &scopes, &k.Created, &k.Revoked); err != nil {
			return err
		}
		return json.Unmarshal(scopes, &k.Scopes)
	}
	err = c.db.Ask(ctx, list(&keys, scan, func(*store.APIKey) bool { return true },
		"SELECT id, hash, name, scopes, created, revoked FROM {api_keys} ORDER BY created, n"))
	return keys, err
}

func (c *Control) SaveKey(ctx context.Context, k store.APIKey) error {
	scopes, err := json.Marshal(k.Scopes)
	if err != nil {
		return err
	}
	if k.Hash == nil {
		k.Hash = []byte{}
	}
	return c.db.Exec(ctx, Statement{Text: c.db.Dialect().Put(&apiKeys), Args: []any{k.ID, k.Hash, k.Name, scopes, k.Created, k.Revoked}})
}

func (c *Control) Renew(ctx context.Context, node string, until int64) error {
	return c.db.Exec(ctx,
		Statement{Text: c.db.Dialect().Put(&nodes), Args: []any{node, until}},
		Statement{Text: "DELETE FROM {nodes} WHERE until < ?", Args: []any{until - store.LeaseKept}})
}

func (c *Control) Nodes(ctx context.Context, now int64) (alive []string, err error) {
	err = c.db.Ask(ctx, list(&alive, func(s Scanner, n *string) error { return s.Scan(n) }, func(*string) bool { return true },
		"SELECT node FROM {nodes} WHERE until > ? ORDER BY node", now))
	return alive, err
}

func (c *Control) Moves(ctx context.Context) (rows []store.MoveRow, err error) {
	err = c.db.Ask(ctx, list(&rows, func(s Scanner, m *store.MoveRow) error { return s.Scan(&m.ID, &m.Body) }, func(*store.MoveRow) bool { return true },
		"SELECT id, body FROM {moves} ORDER BY id"))
	return rows, err
}

// SaveMove reads the record behind an update: bodies differ, so that what is there tells
// whether it was replaced. One that was replaced once more since is a Conflict as well.
func (c *Control) SaveMove(ctx context.Context, m store.MoveRow, was []byte) error {
	changed := &chat.Error{Kind: chat.Conflict, Op: "sqldb.save_move", Subject: c.name, Text: "the move has been changed meanwhile"}
	if was == nil {
		err := c.db.Exec(ctx, Statement{Text: insert(&moves), Args: []any{m.ID, m.Body}})
		if chat.KindOf(err) == chat.Conflict {
			changed.Err = err
			return changed
		}
		return err
	}
	err := c.db.Exec(ctx, Statement{Text: "UPDATE {moves} SET body = ? WHERE id = ? AND body = ?", Args: []any{m.Body, m.ID, was}})
	if err != nil {
		return err
	}
	var now []byte
	err = c.db.Ask(ctx, Question{Text: "SELECT body FROM {moves} WHERE id = ?", Args: []any{m.ID}, Row: func(s Scanner) error { return s.Scan(&now) }})
	if err == nil && !bytes.Equal(now, m.Body) {
		return changed
	}
	return err
}

func (c *Control) Level(ctx context.Context) (l store.Level, err error) {
	var number int64
	err = c.db.Ask(ctx, Question{
		Text: "SELECT level, version FROM {levels} ORDER BY level DESC LIMIT 1",
		Row:  func(s Scanner) error { return s.Scan(&number, &l.Version) },
	})
	l.Number = int(number)
	return l, err
}

func (c *Control) RaiseLevel(ctx context.Context, l store.Level) error {
	err := c.db.Exec(ctx, Statement{Text: insert(&levels), Args: []any{int64(l.Number), l.Version}})
	if chat.KindOf(err) == chat.Conflict { // it is noted
		return nil
	}
	return err
}

func (c *Control) Adoption(ctx context.Context) (store.Adoption, error) {
	var generation int64
	var body []byte
	err := c.db.Ask(ctx, Question{
		Text: "SELECT generation, body FROM {adoption} ORDER BY generation DESC LIMIT 1",
		Row:  func(s Scanner) error { return s.Scan(&generation, &body) },
	})
	if err != nil || body == nil {
		return store.Adoption{}, err
	}
	return store.DecodeAdoption(generation, body)
}

func (c *Control) SaveAdoption(ctx context.Context, a store.Adoption) error {
	body, err := store.EncodeAdoption(&a)
	if err == nil {
		err = c.saveNext(ctx, &adoption, a.Generation, body)
	}
	if chat.KindOf(err) == chat.Conflict {
		return &chat.Error{Kind: chat.Conflict, Op: "sqldb.save_adoption", Subject: c.name, Text: "the state has been changed meanwhile", Err: err}
	}
	return err
}

// Found replaces an id that is there, as that of a first start which was refused.
func (c *Control) Found(ctx context.Context, f store.Founding) error {
	_, err := c.Map(ctx)
	if err == nil {
		return &chat.Error{Kind: chat.Conflict, Op: "sqldb.found", Subject: c.name, Text: "it has a slot map"}
	}
	if chat.KindOf(err) != chat.NotFound {
		return err
	}
	raw, err := f.Map.Encode()
	if err != nil {
		return err
	}
	all := []Statement{
		{Text: c.db.Dialect().Put(&deployment), Args: []any{int64(1), f.Deployment}},
		{Text: insert(&slotMaps), Args: []any{f.Map.Version, raw}},
	}
	if f.Adoption.Generation > 0 {
		body, err := store.EncodeAdoption(&f.Adoption)
		if err != nil {
			return err
		}
		all = append(all, Statement{Text: insert(&adoption), Args: []any{f.Adoption.Generation, body}})
	}
	return c.db.Exec(ctx, all...)
}
