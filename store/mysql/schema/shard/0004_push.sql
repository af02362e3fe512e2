-- Devices that take notifications, and what they are sent. An address is what its service
-- calls it; seen is when the client gave it last.

CREATE TABLE IF NOT EXISTS {devices} (
	slot       SMALLINT       NOT NULL,
	user_id    VARBINARY(512) NOT NULL,
	device_id  VARBINARY(128) NOT NULL,
	provider   VARBINARY(64)  NOT NULL,
	address    BLOB           NOT NULL,
	registered BIGINT         NOT NULL,
	seen       BIGINT         NOT NULL,
	PRIMARY KEY (slot, user_id, device_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- With room_id '' for all rooms that have none of their own.

CREATE TABLE IF NOT EXISTS {push_settings} (
	slot         SMALLINT       NOT NULL,
	user_id      VARBINARY(512) NOT NULL,
	room_id      VARBINARY(512) NOT NULL,
	push_level   TINYINT        NOT NULL,
	mute_until   BIGINT         NOT NULL,
	quiet_from   SMALLINT       NOT NULL,
	quiet_to     SMALLINT       NOT NULL,
	time_zone    TEXT           NOT NULL,
	hide_content TINYINT        NOT NULL,
	PRIMARY KEY (slot, user_id, room_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What a device is to be told of a topic, or was told last. due orders what is to do,
-- whatever the state.

CREATE TABLE IF NOT EXISTS {push_jobs} (
	slot      SMALLINT       NOT NULL,
	user_id   VARBINARY(512) NOT NULL,
	topic     VARBINARY(640) NOT NULL,
	device_id VARBINARY(128) NOT NULL,
	made      BIGINT         NOT NULL,
	state     TINYINT        NOT NULL,
	silent    TINYINT        NOT NULL,
	mention   TINYINT        NOT NULL,
	shown     TINYINT        NOT NULL,
	seq       BIGINT         NOT NULL,
	due       BIGINT         NOT NULL,
	expires   BIGINT         NOT NULL,
	attempts  BIGINT         NOT NULL,
	reason    TEXT           NOT NULL,
	title     TEXT           NOT NULL,
	body      TEXT           NOT NULL,
	data      MEDIUMBLOB     NOT NULL,
	PRIMARY KEY (slot, user_id, topic, device_id),
	KEY due (due)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Who has an address, filed under the slot of its digest.

CREATE TABLE IF NOT EXISTS {push_owners} (
	slot      SMALLINT       NOT NULL,
	digest    VARBINARY(512) NOT NULL,
	user_id   VARBINARY(512) NOT NULL,
	device_id VARBINARY(128) NOT NULL,
	seen      BIGINT         NOT NULL,
	PRIMARY KEY (slot, digest)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
