-- The record of each move of slots between shards.
CREATE TABLE IF NOT EXISTS {moves} (
	id   BIGINT     NOT NULL,
	body MEDIUMBLOB NOT NULL,
	PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
