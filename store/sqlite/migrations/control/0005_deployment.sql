-- +goose Up

-- One row: which deployment this is.
CREATE TABLE deployment (
	one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	id  TEXT    NOT NULL
) WITHOUT ROWID;
