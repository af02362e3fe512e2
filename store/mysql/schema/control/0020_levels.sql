-- The levels of the data, each with the version that was the first to write it: older
-- programs keep away.
CREATE TABLE IF NOT EXISTS {levels} (
	level   BIGINT NOT NULL,
	version TEXT   NOT NULL,
	PRIMARY KEY (level)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
