-- +goose Up

-- Every version of the slot map is kept: one small row for each change of who
-- owns what.
CREATE TABLE slot_maps (
	version INTEGER NOT NULL PRIMARY KEY,
	body    BLOB    NOT NULL
) WITHOUT ROWID;

-- A rowid table: the rowid orders keys that were made in the same millisecond.
CREATE TABLE api_keys (
	id      TEXT    NOT NULL PRIMARY KEY,
	hash    BLOB    NOT NULL,
	name    TEXT    NOT NULL,
	scopes  TEXT    NOT NULL,
	created INTEGER NOT NULL,
	revoked INTEGER NOT NULL
);

CREATE TABLE nodes (
	node  TEXT    NOT NULL PRIMARY KEY,
	until INTEGER NOT NULL
) WITHOUT ROWID;
