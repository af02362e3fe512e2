-- +goose Up

-- Every table is clustered by its primary key (WITHOUT ROWID), so that the
-- rows read together lie together: the newest messages of a room are one or
-- two pages, however long the room is. Times are Unix milliseconds. "slot"
-- comes first everywhere: a slot is the unit that moves between shards.

-- The room's side, filed under the slot of the room.

CREATE TABLE rooms (
	slot      INTEGER NOT NULL,
	room_id   TEXT    NOT NULL,
	title     TEXT    NOT NULL,
	open      INTEGER NOT NULL,
	read_only INTEGER NOT NULL,
	last_seq  INTEGER NOT NULL,
	rev       INTEGER NOT NULL,
	info_rev  INTEGER NOT NULL,
	members   INTEGER NOT NULL,
	created   INTEGER NOT NULL,
	PRIMARY KEY (slot, room_id)
) WITHOUT ROWID;

CREATE TABLE members (
	slot    INTEGER NOT NULL,
	room_id TEXT    NOT NULL,
	user_id TEXT    NOT NULL,
	name    TEXT    NOT NULL,
	role    INTEGER NOT NULL,
	rev     INTEGER NOT NULL,
	since   INTEGER NOT NULL,
	PRIMARY KEY (slot, room_id, user_id)
) WITHOUT ROWID;

CREATE INDEX members_rev ON members (slot, room_id, rev);

-- created_rev grows with seq inside a room and has no index of its own: what a
-- commit costs is the pages it dirties, and each index adds about a third.
-- changed_rev is NULL until the message is edited, deleted or reacted to.
CREATE TABLE messages (
	slot        INTEGER NOT NULL,
	room_id     TEXT    NOT NULL,
	seq         INTEGER NOT NULL,
	created_rev INTEGER NOT NULL,
	changed_rev INTEGER,
	user_id     TEXT    NOT NULL,
	ts          INTEGER NOT NULL,
	text        TEXT    NOT NULL,
	key         TEXT,
	digest      INTEGER NOT NULL,
	reply_to    INTEGER NOT NULL,
	data        BLOB,
	edited      INTEGER NOT NULL,
	deleted     INTEGER NOT NULL,
	PRIMARY KEY (slot, room_id, seq)
) WITHOUT ROWID;

CREATE UNIQUE INDEX messages_key ON messages (slot, room_id, user_id, key) WHERE key IS NOT NULL;
CREATE INDEX messages_changed ON messages (slot, room_id, changed_rev) WHERE changed_rev IS NOT NULL;

CREATE TABLE reactions (
	slot    INTEGER NOT NULL,
	room_id TEXT    NOT NULL,
	seq     INTEGER NOT NULL,
	emoji   TEXT    NOT NULL,
	user_id TEXT    NOT NULL,
	ts      INTEGER NOT NULL,
	PRIMARY KEY (slot, room_id, seq, emoji, user_id)
) WITHOUT ROWID;

CREATE TABLE seats (
	slot    INTEGER NOT NULL,
	room_id TEXT    NOT NULL,
	user_id TEXT    NOT NULL,
	node    TEXT    NOT NULL,
	PRIMARY KEY (slot, room_id, user_id, node)
) WITHOUT ROWID;

CREATE INDEX seats_node ON seats (node);

-- The user's side, filed under the slot of the user.

CREATE TABLE user_rooms (
	slot     INTEGER NOT NULL,
	user_id  TEXT    NOT NULL,
	room_id  TEXT    NOT NULL,
	role     INTEGER NOT NULL,
	rev      INTEGER NOT NULL,
	read_seq INTEGER NOT NULL,
	mute     INTEGER NOT NULL,
	PRIMARY KEY (slot, user_id, room_id)
) WITHOUT ROWID;

-- The lanes that write here, and what they leave for others to work on.

CREATE TABLE lanes (
	lane     INTEGER NOT NULL PRIMARY KEY,
	epoch    INTEGER NOT NULL,
	position INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE outbox (
	lane     INTEGER NOT NULL,
	position INTEGER NOT NULL,
	body     BLOB    NOT NULL,
	PRIMARY KEY (lane, position)
) WITHOUT ROWID;

CREATE TABLE cursors (
	lane     INTEGER NOT NULL,
	consumer TEXT    NOT NULL,
	position INTEGER NOT NULL,
	PRIMARY KEY (lane, consumer)
) WITHOUT ROWID;
