-- +goose Up

-- The record of each move of slots between shards.

CREATE TABLE moves (
	id   INTEGER NOT NULL PRIMARY KEY,
	body BLOB    NOT NULL
);
