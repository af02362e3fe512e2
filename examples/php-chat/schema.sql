-- The chat as it is: one table that pages write into, and ask every three seconds.
CREATE TABLE IF NOT EXISTS users (
	id   INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
	name VARCHAR(60)  NOT NULL,
	UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS messages (
	id         INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
	room_id    INT UNSIGNED NOT NULL,
	user_id    INT UNSIGNED NOT NULL,
	message    TEXT         NOT NULL,
	created_at DATETIME     NOT NULL,
	KEY room (room_id, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT IGNORE INTO users (id, name) VALUES (1, 'Ann'), (2, 'Ben');
INSERT IGNORE INTO messages (id, room_id, user_id, message, created_at) VALUES
	(1, 1, 1, 'The first message of this chat', '2019-03-01 12:00:00'),
	(2, 1, 2, 'And the second', '2019-03-01 12:00:05');
