-- +goose Up

-- The nodes at which a user is connected, with line breaks between their names; no row
-- of who is offline. It is kept while the host wants to be told.

CREATE TABLE user_nodes (
	slot    INTEGER NOT NULL,
	user_id TEXT    NOT NULL,
	nodes   TEXT    NOT NULL,
	PRIMARY KEY (slot, user_id)
) WITHOUT ROWID;

-- The language of notifications on a device; empty: that of the server.

ALTER TABLE devices ADD COLUMN language TEXT NOT NULL DEFAULT '';
