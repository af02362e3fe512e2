-- How far a lane has taken what was handed to it from outside. A table of its own needs
-- no right but that to make tables.

CREATE TABLE IF NOT EXISTS {taken} (
	lane    BIGINT NOT NULL,
	queue   BIGINT NOT NULL,
	senders BLOB   NOT NULL,
	PRIMARY KEY (lane)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
