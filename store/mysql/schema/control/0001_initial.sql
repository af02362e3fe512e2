CREATE TABLE IF NOT EXISTS {deployment} (
	one TINYINT       NOT NULL,
	id  VARBINARY(64) NOT NULL,
	PRIMARY KEY (one)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Every version of the slot map is kept: one small row for each change of who owns what.
CREATE TABLE IF NOT EXISTS {slot_maps} (
	version BIGINT     NOT NULL,
	body    MEDIUMBLOB NOT NULL,
	PRIMARY KEY (version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- n orders keys that were made in the same millisecond.
CREATE TABLE IF NOT EXISTS {api_keys} (
	id      VARBINARY(128) NOT NULL,
	hash    VARBINARY(128) NOT NULL,
	name    TEXT           NOT NULL,
	scopes  BLOB           NOT NULL,
	created BIGINT         NOT NULL,
	revoked BIGINT         NOT NULL,
	n       BIGINT         NOT NULL AUTO_INCREMENT,
	PRIMARY KEY (id),
	UNIQUE KEY n (n)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {nodes} (
	node  VARBINARY(128) NOT NULL,
	until BIGINT         NOT NULL,
	PRIMARY KEY (node)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
