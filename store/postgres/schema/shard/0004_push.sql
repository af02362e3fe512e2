-- Devices that take notifications, and what they are sent. An address is what its service
-- calls it; seen is when the client gave it last.

CREATE TABLE IF NOT EXISTS {devices} (
	slot BIGINT NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL,
	device_id TEXT COLLATE "C" NOT NULL,
	provider TEXT COLLATE "C" NOT NULL,
	address BYTEA NOT NULL,
	registered BIGINT NOT NULL,
	seen BIGINT NOT NULL,
	PRIMARY KEY (slot, user_id, device_id)
);

-- With room_id '' for all rooms that have none of their own.

CREATE TABLE IF NOT EXISTS {push_settings} (
	slot BIGINT NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL,
	room_id TEXT COLLATE "C" NOT NULL,
	push_level BIGINT NOT NULL,
	mute_until BIGINT NOT NULL,
	quiet_from BIGINT NOT NULL,
	quiet_to BIGINT NOT NULL,
	time_zone TEXT NOT NULL,
	hide_content BIGINT NOT NULL,
	PRIMARY KEY (slot, user_id, room_id)
);

-- What a device is to be told of a topic, or was told last. due orders what is to do,
-- whatever the state.

CREATE TABLE IF NOT EXISTS {push_jobs} (
	slot BIGINT NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL,
	topic TEXT COLLATE "C" NOT NULL,
	device_id TEXT COLLATE "C" NOT NULL,
	made BIGINT NOT NULL,
	state BIGINT NOT NULL,
	silent BIGINT NOT NULL,
	mention BIGINT NOT NULL,
	shown BIGINT NOT NULL,
	seq BIGINT NOT NULL,
	due BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	attempts BIGINT NOT NULL,
	reason TEXT NOT NULL,
	title TEXT NOT NULL,
	body TEXT NOT NULL,
	data BYTEA NOT NULL,
	PRIMARY KEY (slot, user_id, topic, device_id)
) WITH (fillfactor = 80);

CREATE INDEX IF NOT EXISTS {push_jobs_due} ON {push_jobs} (due);

-- Who has an address, filed under the slot of its digest.

CREATE TABLE IF NOT EXISTS {push_owners} (
	slot BIGINT NOT NULL,
	digest TEXT COLLATE "C" NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL,
	device_id TEXT COLLATE "C" NOT NULL,
	seen BIGINT NOT NULL,
	PRIMARY KEY (slot, digest)
);
