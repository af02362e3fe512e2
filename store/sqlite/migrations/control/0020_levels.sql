-- +goose Up

-- The levels of the data, each with the version that was the first to write it: older
-- programs keep away.

CREATE TABLE levels (
	level   INTEGER NOT NULL PRIMARY KEY,
	version TEXT    NOT NULL
);
