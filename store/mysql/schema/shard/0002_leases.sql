-- Which node should own a lane. A commit does not lock these rows.

CREATE TABLE IF NOT EXISTS {leases} (
	lane   BIGINT NOT NULL,
	holder VARBINARY(64) NOT NULL,
	until  BIGINT NOT NULL,
	PRIMARY KEY (lane)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
