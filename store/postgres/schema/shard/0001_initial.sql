-- Times are Unix milliseconds. "slot" comes first in every key: a slot is the unit that
-- moves between shards. The other indexes do without it, since a room has one slot: so
-- that even a planner without statistics sees that the key is the better way to a row.
-- Ids, keys and emoji are compared byte for byte.

CREATE TABLE IF NOT EXISTS {meta} (
	name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	value TEXT COLLATE "C" NOT NULL
);

-- The room's side, filed under the slot of the room. Rows that are replaced often leave
-- space in their page for the next version.

CREATE TABLE IF NOT EXISTS {rooms} (
	slot      BIGINT NOT NULL,
	room_id   TEXT COLLATE "C" NOT NULL,
	title     TEXT NOT NULL,
	open      BIGINT NOT NULL,
	read_only BIGINT NOT NULL,
	last_seq  BIGINT NOT NULL,
	rev       BIGINT NOT NULL,
	info_rev  BIGINT NOT NULL,
	members   BIGINT NOT NULL,
	created   BIGINT NOT NULL,
	topic     TEXT NOT NULL,
	avatar    TEXT NOT NULL,
	data      BYTEA NOT NULL,
	active    BIGINT NOT NULL,
	archived  BIGINT NOT NULL,
	deleted   BIGINT NOT NULL,
	floor     BIGINT NOT NULL,
	PRIMARY KEY (slot, room_id)
) WITH (fillfactor = 60);

CREATE INDEX IF NOT EXISTS {rooms_id} ON {rooms} (room_id);

CREATE TABLE IF NOT EXISTS {members} (
	slot    BIGINT NOT NULL,
	room_id TEXT COLLATE "C" NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL,
	name    TEXT NOT NULL,
	role    BIGINT NOT NULL,
	rev     BIGINT NOT NULL,
	since   BIGINT NOT NULL,
	avatar  TEXT NOT NULL,
	data    BYTEA NOT NULL,
	until   BIGINT NOT NULL,
	PRIMARY KEY (slot, room_id, user_id)
);

CREATE INDEX IF NOT EXISTS {members_rev} ON {members} (room_id, rev);

-- created_rev grows with seq inside a room and has no index of its own. changed_rev is
-- NULL until the message is edited, deleted or reacted to. Of the indexes on this table,
-- a new message without a key enters the first alone.
CREATE TABLE IF NOT EXISTS {messages} (
	slot        BIGINT NOT NULL,
	room_id     TEXT COLLATE "C" NOT NULL,
	seq         BIGINT NOT NULL,
	created_rev BIGINT NOT NULL,
	changed_rev BIGINT,
	user_id     TEXT COLLATE "C" NOT NULL,
	ts          BIGINT NOT NULL,
	body        TEXT NOT NULL,
	send_key    TEXT COLLATE "C",
	digest      BIGINT NOT NULL,
	reply_to    BIGINT NOT NULL,
	data        BYTEA,
	edited      BIGINT NOT NULL,
	deleted     BIGINT NOT NULL,
	name        TEXT NOT NULL,
	PRIMARY KEY (slot, room_id, seq)
);

CREATE UNIQUE INDEX IF NOT EXISTS {messages_key} ON {messages} (room_id, user_id, send_key) WHERE send_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS {messages_changed} ON {messages} (room_id, changed_rev) WHERE changed_rev IS NOT NULL;

-- What a reaction costs, and what a page of messages costs, must not grow with the
-- reactions that a message has. reaction_counts has the emoji under a message, in step
-- with the rows; the index finds the first users that chose one.

CREATE TABLE IF NOT EXISTS {reactions} (
	slot    BIGINT NOT NULL,
	room_id TEXT COLLATE "C" NOT NULL,
	seq     BIGINT NOT NULL,
	emoji   TEXT COLLATE "C" NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL,
	ts      BIGINT NOT NULL,
	PRIMARY KEY (slot, room_id, seq, emoji, user_id)
);

CREATE INDEX IF NOT EXISTS {reactions_order} ON {reactions} (room_id, seq, emoji, ts, user_id);

CREATE TABLE IF NOT EXISTS {reaction_counts} (
	slot    BIGINT NOT NULL,
	room_id TEXT COLLATE "C" NOT NULL,
	seq     BIGINT NOT NULL,
	emoji   TEXT COLLATE "C" NOT NULL,
	n       BIGINT NOT NULL,
	PRIMARY KEY (slot, room_id, seq, emoji)
) WITH (fillfactor = 80);

CREATE TABLE IF NOT EXISTS {online} (
	slot    BIGINT NOT NULL,
	room_id TEXT COLLATE "C" NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL,
	node    TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (slot, room_id, user_id, node)
);

CREATE INDEX IF NOT EXISTS {online_node} ON {online} (node);

-- The user's side, filed under the slot of the user.

CREATE TABLE IF NOT EXISTS {user_rooms} (
	slot     BIGINT NOT NULL,
	user_id  TEXT COLLATE "C" NOT NULL,
	room_id  TEXT COLLATE "C" NOT NULL,
	role     BIGINT NOT NULL,
	rev      BIGINT NOT NULL,
	read_seq BIGINT NOT NULL,
	PRIMARY KEY (slot, user_id, room_id)
) WITH (fillfactor = 80);

CREATE TABLE IF NOT EXISTS {users} (
	slot    BIGINT NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL,
	name    TEXT NOT NULL,
	avatar  TEXT NOT NULL,
	data    BYTEA NOT NULL,
	named   BIGINT NOT NULL,
	PRIMARY KEY (slot, user_id)
);

CREATE TABLE IF NOT EXISTS {user_access} (
	slot       BIGINT NOT NULL,
	user_id    TEXT COLLATE "C" NOT NULL,
	not_before BIGINT NOT NULL,
	claimed    BIGINT NOT NULL,
	PRIMARY KEY (slot, user_id)
);

-- The lanes that write here, and what they leave for others to work on.

CREATE TABLE IF NOT EXISTS {lanes} (
	lane     BIGINT NOT NULL PRIMARY KEY,
	epoch    BIGINT NOT NULL,
	position BIGINT NOT NULL
) WITH (fillfactor = 10);

CREATE TABLE IF NOT EXISTS {outbox} (
	lane     BIGINT NOT NULL,
	position BIGINT NOT NULL,
	body     BYTEA NOT NULL,
	PRIMARY KEY (lane, position)
);

CREATE TABLE IF NOT EXISTS {cursors} (
	lane     BIGINT NOT NULL,
	consumer TEXT COLLATE "C" NOT NULL,
	position BIGINT NOT NULL,
	PRIMARY KEY (lane, consumer)
) WITH (fillfactor = 10);
