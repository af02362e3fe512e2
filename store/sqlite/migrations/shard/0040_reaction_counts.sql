-- +goose Up

-- What a reaction costs, and what a page of messages costs, must not grow with
-- the reactions that a message has. reaction_counts has the emoji under a message;
-- the index finds the first users that chose one. Triggers keep the counts in step
-- with the rows, whatever adds and removes these.

CREATE INDEX reactions_order ON reactions (slot, room_id, seq, emoji, ts, user_id);

CREATE TABLE reaction_counts (
	slot    INTEGER NOT NULL,
	room_id TEXT    NOT NULL,
	seq     INTEGER NOT NULL,
	emoji   TEXT    NOT NULL,
	count   INTEGER NOT NULL,
	PRIMARY KEY (slot, room_id, seq, emoji)
) WITHOUT ROWID;

INSERT INTO reaction_counts (slot, room_id, seq, emoji, count)
	SELECT slot, room_id, seq, emoji, count(*) FROM reactions GROUP BY slot, room_id, seq, emoji;

-- +goose StatementBegin
CREATE TRIGGER reaction_added AFTER INSERT ON reactions BEGIN
	INSERT INTO reaction_counts (slot, room_id, seq, emoji, count) VALUES (new.slot, new.room_id, new.seq, new.emoji, 1)
		ON CONFLICT (slot, room_id, seq, emoji) DO UPDATE SET count = count + 1;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER reaction_removed AFTER DELETE ON reactions BEGIN
	DELETE FROM reaction_counts
		WHERE slot = old.slot AND room_id = old.room_id AND seq = old.seq AND emoji = old.emoji AND count <= 1;
	UPDATE reaction_counts SET count = count - 1
		WHERE slot = old.slot AND room_id = old.room_id AND seq = old.seq AND emoji = old.emoji;
END;
-- +goose StatementEnd
