-- What was said of a chat that moves in, the newest last: which of the two is in force.
CREATE TABLE IF NOT EXISTS {adoption} (
	generation BIGINT   NOT NULL,
	body       LONGBLOB NOT NULL,
	PRIMARY KEY (generation)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
