-- +goose Up

-- Which node should own a lane: holder until a time in Unix milliseconds. A database in
-- a file has one node, so that nobody else asks.

CREATE TABLE leases (
	lane   INTEGER NOT NULL PRIMARY KEY,
	holder TEXT    NOT NULL,
	until  INTEGER NOT NULL
);
