CREATE TABLE IF NOT EXISTS {deployment} (
	one BIGINT NOT NULL PRIMARY KEY,
	id  TEXT COLLATE "C" NOT NULL
);

-- Every version of the slot map is kept: one small row for each change of who owns
-- what.
CREATE TABLE IF NOT EXISTS {slot_maps} (
	version BIGINT NOT NULL PRIMARY KEY,
	body    BYTEA NOT NULL
);

-- n orders keys that were made in the same millisecond.
CREATE TABLE IF NOT EXISTS {api_keys} (
	id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	n       BIGINT GENERATED ALWAYS AS IDENTITY,
	hash    BYTEA NOT NULL,
	name    TEXT NOT NULL,
	scopes  BYTEA NOT NULL,
	created BIGINT NOT NULL,
	revoked BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS {nodes} (
	node  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	until BIGINT NOT NULL
);
