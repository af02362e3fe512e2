-- The record of each move of slots between shards.
CREATE TABLE IF NOT EXISTS {moves} (
	id   BIGINT NOT NULL PRIMARY KEY,
	body BYTEA NOT NULL
);
