-- How far a lane has taken what was handed to it from outside.

CREATE TABLE IF NOT EXISTS {taken} (
	lane    BIGINT NOT NULL PRIMARY KEY,
	queue   BIGINT NOT NULL,
	senders BYTEA  NOT NULL
) WITH (fillfactor = 10);
