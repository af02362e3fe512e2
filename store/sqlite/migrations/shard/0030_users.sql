-- +goose Up

-- What is known of a user in all rooms, filed under the slot of the user. There is
-- a row for those of whom something was said.

CREATE TABLE users (
	slot    INTEGER NOT NULL,
	user_id TEXT    NOT NULL,
	name    TEXT    NOT NULL,
	avatar  TEXT    NOT NULL,
	data    TEXT    NOT NULL,
	named   INTEGER NOT NULL,
	PRIMARY KEY (slot, user_id)
) WITHOUT ROWID;

-- A message keeps the display name that its author had. Those that are there have
-- none: readers show the name of the member, as they did.

ALTER TABLE messages ADD COLUMN name TEXT NOT NULL DEFAULT '';

-- A role that ends at a time (until, 0: never), and what applications keep.

ALTER TABLE members ADD COLUMN avatar TEXT NOT NULL DEFAULT '';
ALTER TABLE members ADD COLUMN data TEXT NOT NULL DEFAULT '';
ALTER TABLE members ADD COLUMN until INTEGER NOT NULL DEFAULT 0;

ALTER TABLE rooms ADD COLUMN topic TEXT NOT NULL DEFAULT '';
ALTER TABLE rooms ADD COLUMN avatar TEXT NOT NULL DEFAULT '';
ALTER TABLE rooms ADD COLUMN data TEXT NOT NULL DEFAULT '';
