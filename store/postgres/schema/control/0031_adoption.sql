-- What was said of a chat that moves in, the newest last: which of the two is in force.
CREATE TABLE IF NOT EXISTS {adoption} (
	generation BIGINT NOT NULL PRIMARY KEY,
	body       BYTEA  NOT NULL
);
