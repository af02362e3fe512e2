-- +goose Up

-- How far a lane has taken what was handed to it from outside (store.Taken).

CREATE TABLE taken (
	lane    INTEGER NOT NULL PRIMARY KEY,
	queue   INTEGER NOT NULL,
	senders BLOB    NOT NULL
);
