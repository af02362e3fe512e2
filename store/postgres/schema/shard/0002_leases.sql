-- Which node should own a lane. A commit does not lock these rows.

CREATE TABLE IF NOT EXISTS {leases} (
	lane   BIGINT NOT NULL PRIMARY KEY,
	holder TEXT COLLATE "C" NOT NULL,
	until  BIGINT NOT NULL
) WITH (fillfactor = 10);
