-- +goose Up

-- Devices that take notifications, and what they are sent (store.PushReader). An address is
-- what its service calls it; seen is when the client gave it last.

CREATE TABLE devices (
	slot       INTEGER NOT NULL,
	user_id    TEXT    NOT NULL,
	device_id  TEXT    NOT NULL,
	provider   TEXT    NOT NULL,
	address    TEXT    NOT NULL,
	registered INTEGER NOT NULL,
	seen       INTEGER NOT NULL,
	PRIMARY KEY (slot, user_id, device_id)
) WITHOUT ROWID;

-- With room_id '' for all rooms that have none of their own.

CREATE TABLE push_settings (
	slot         INTEGER NOT NULL,
	user_id      TEXT    NOT NULL,
	room_id      TEXT    NOT NULL,
	push_level   INTEGER NOT NULL,
	mute_until   INTEGER NOT NULL,
	quiet_from   INTEGER NOT NULL,
	quiet_to     INTEGER NOT NULL,
	time_zone    TEXT    NOT NULL,
	hide_content INTEGER NOT NULL,
	PRIMARY KEY (slot, user_id, room_id)
) WITHOUT ROWID;

-- What a device is to be told of a topic, or was told last. due orders what is to do,
-- whatever the state.

CREATE TABLE push_jobs (
	slot      INTEGER NOT NULL,
	user_id   TEXT    NOT NULL,
	topic     TEXT    NOT NULL,
	device_id TEXT    NOT NULL,
	made      INTEGER NOT NULL,
	state     INTEGER NOT NULL,
	silent    INTEGER NOT NULL,
	mention   INTEGER NOT NULL,
	shown     INTEGER NOT NULL,
	seq       INTEGER NOT NULL,
	due       INTEGER NOT NULL,
	expires   INTEGER NOT NULL,
	attempts  INTEGER NOT NULL,
	reason    TEXT    NOT NULL,
	title     TEXT    NOT NULL,
	body      TEXT    NOT NULL,
	data      TEXT    NOT NULL,
	PRIMARY KEY (slot, user_id, topic, device_id)
) WITHOUT ROWID;

CREATE INDEX push_jobs_due ON push_jobs (due);

-- Who has an address, filed under the slot of its digest.

CREATE TABLE push_owners (
	slot      INTEGER NOT NULL,
	digest    TEXT    NOT NULL,
	user_id   TEXT    NOT NULL,
	device_id TEXT    NOT NULL,
	seen      INTEGER NOT NULL,
	PRIMARY KEY (slot, digest)
) WITHOUT ROWID;
