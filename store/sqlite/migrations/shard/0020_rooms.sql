-- +goose Up

-- Lists of rooms: by activity, by id over all slots, without archived and deleted
-- ones. The index changes when a room is made, and at no other time.

ALTER TABLE rooms ADD COLUMN active INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;

UPDATE rooms SET active = coalesce((SELECT ts FROM messages m
	WHERE m.slot = rooms.slot AND m.room_id = rooms.room_id AND m.seq = rooms.last_seq), created);

CREATE INDEX rooms_id ON rooms (room_id);

-- What is unread leaves out what is deleted. An entry is made when a message is
-- deleted: what a new message costs stays as it was.

CREATE INDEX messages_deleted ON messages (slot, room_id, seq) WHERE deleted <> 0;
