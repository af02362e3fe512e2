-- +goose Up

-- What authentication keeps of a user: tokens made before not_before (Unix seconds)
-- are refused, and the id of a user of the application is no guest's.

CREATE TABLE user_access (
	slot       INTEGER NOT NULL,
	user_id    TEXT    NOT NULL,
	not_before INTEGER NOT NULL,
	claimed    INTEGER NOT NULL,
	PRIMARY KEY (slot, user_id)
) WITHOUT ROWID;
