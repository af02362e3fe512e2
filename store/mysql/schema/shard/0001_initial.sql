-- Every table is clustered by its primary key, so that the rows read together lie
-- together: the newest messages of a room are one or two pages, however long the room
-- is. Times are Unix milliseconds. "slot" comes first everywhere: a slot is the unit
-- that moves between shards.
--
-- Ids, keys and emoji are VARBINARY: compared byte for byte, spaces at the end
-- included. Texts that users read are utf8mb4. JSON of applications is kept as bytes.
-- A step that was interrupted is run again: no statement minds.

CREATE TABLE IF NOT EXISTS {meta} (
	name  VARBINARY(64)  NOT NULL,
	value VARBINARY(512) NOT NULL,
	PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The room's side, filed under the slot of the room.

CREATE TABLE IF NOT EXISTS {rooms} (
	slot      SMALLINT       NOT NULL,
	room_id   VARBINARY(512) NOT NULL,
	title     TEXT           NOT NULL,
	open      TINYINT        NOT NULL,
	read_only TINYINT        NOT NULL,
	last_seq  BIGINT         NOT NULL,
	rev       BIGINT         NOT NULL,
	info_rev  BIGINT         NOT NULL,
	members   BIGINT         NOT NULL,
	created   BIGINT         NOT NULL,
	topic     TEXT           NOT NULL,
	avatar    TEXT           NOT NULL,
	data      MEDIUMBLOB     NOT NULL,
	active    BIGINT         NOT NULL,
	archived  TINYINT        NOT NULL,
	deleted   TINYINT        NOT NULL,
	floor     BIGINT         NOT NULL,
	PRIMARY KEY (slot, room_id),
	KEY room_id (room_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {members} (
	slot    SMALLINT       NOT NULL,
	room_id VARBINARY(512) NOT NULL,
	user_id VARBINARY(512) NOT NULL,
	name    TEXT           NOT NULL,
	role    TINYINT        NOT NULL,
	rev     BIGINT         NOT NULL,
	since   BIGINT         NOT NULL,
	avatar  TEXT           NOT NULL,
	data    MEDIUMBLOB     NOT NULL,
	until   BIGINT         NOT NULL,
	PRIMARY KEY (slot, room_id, user_id),
	KEY rev (slot, room_id, rev)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- created_rev grows with seq inside a room and has no index of its own. changed_rev is
-- NULL until the message is edited, deleted or reacted to.
CREATE TABLE IF NOT EXISTS {messages} (
	slot        SMALLINT       NOT NULL,
	room_id     VARBINARY(512) NOT NULL,
	seq         BIGINT         NOT NULL,
	created_rev BIGINT         NOT NULL,
	changed_rev BIGINT,
	user_id     VARBINARY(512) NOT NULL,
	ts          BIGINT         NOT NULL,
	body        MEDIUMTEXT     NOT NULL,
	send_key    VARBINARY(512),
	digest      BIGINT         NOT NULL,
	reply_to    BIGINT         NOT NULL,
	data        MEDIUMBLOB,
	edited      BIGINT         NOT NULL,
	deleted     TINYINT        NOT NULL,
	name        TEXT           NOT NULL,
	PRIMARY KEY (slot, room_id, seq),
	UNIQUE KEY send_key (slot, room_id, user_id, send_key),
	KEY changed (slot, room_id, changed_rev)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {reactions} (
	slot    SMALLINT       NOT NULL,
	room_id VARBINARY(512) NOT NULL,
	seq     BIGINT         NOT NULL,
	emoji   VARBINARY(512) NOT NULL,
	user_id VARBINARY(512) NOT NULL,
	ts      BIGINT         NOT NULL,
	PRIMARY KEY (slot, room_id, seq, emoji, user_id),
	KEY ts (slot, room_id, seq, emoji, ts, user_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What a page of messages costs must not grow with the reactions that a message has:
-- n counts them, first_users are the first of the users, with line ends between them.
CREATE TABLE IF NOT EXISTS {reaction_counts} (
	slot        SMALLINT       NOT NULL,
	room_id     VARBINARY(512) NOT NULL,
	seq         BIGINT         NOT NULL,
	emoji       VARBINARY(512) NOT NULL,
	n           BIGINT         NOT NULL,
	first_ts    BIGINT         NOT NULL,
	first_users MEDIUMBLOB     NOT NULL,
	PRIMARY KEY (slot, room_id, seq, emoji)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {online} (
	slot    SMALLINT       NOT NULL,
	room_id VARBINARY(512) NOT NULL,
	user_id VARBINARY(512) NOT NULL,
	node    VARBINARY(128) NOT NULL,
	PRIMARY KEY (slot, room_id, user_id, node),
	KEY node (node)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The user's side, filed under the slot of the user.

CREATE TABLE IF NOT EXISTS {user_rooms} (
	slot     SMALLINT       NOT NULL,
	user_id  VARBINARY(512) NOT NULL,
	room_id  VARBINARY(512) NOT NULL,
	role     TINYINT        NOT NULL,
	rev      BIGINT         NOT NULL,
	read_seq BIGINT         NOT NULL,
	PRIMARY KEY (slot, user_id, room_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {users} (
	slot    SMALLINT       NOT NULL,
	user_id VARBINARY(512) NOT NULL,
	name    TEXT           NOT NULL,
	avatar  TEXT           NOT NULL,
	data    MEDIUMBLOB     NOT NULL,
	named   BIGINT         NOT NULL,
	PRIMARY KEY (slot, user_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {user_access} (
	slot       SMALLINT       NOT NULL,
	user_id    VARBINARY(512) NOT NULL,
	not_before BIGINT         NOT NULL,
	claimed    TINYINT        NOT NULL,
	PRIMARY KEY (slot, user_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The lanes that write here, and what they leave for others to work on.

CREATE TABLE IF NOT EXISTS {lanes} (
	lane     BIGINT NOT NULL,
	epoch    BIGINT NOT NULL,
	position BIGINT NOT NULL,
	PRIMARY KEY (lane)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {outbox} (
	lane     BIGINT   NOT NULL,
	position BIGINT   NOT NULL,
	body     LONGBLOB NOT NULL,
	PRIMARY KEY (lane, position)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {cursors} (
	lane     BIGINT         NOT NULL,
	consumer VARBINARY(128) NOT NULL,
	position BIGINT         NOT NULL,
	PRIMARY KEY (lane, consumer)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
