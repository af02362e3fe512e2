-- +goose Up

-- What was said of a chat that moves in, the newest last: which of the two is in force.
CREATE TABLE adoption (
	generation INTEGER NOT NULL PRIMARY KEY,
	body       BLOB    NOT NULL
);
