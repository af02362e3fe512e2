CREATE TABLE message (id INT PRIMARY KEY, title VARCHAR(255), created_at DATETIME, created_by INT, updated_at DATETIME, updated_by INT);
CREATE TABLE message_entry (id INT AUTO_INCREMENT PRIMARY KEY, message_id INT NOT NULL, user_id INT NOT NULL, file_id INT, content TEXT, type TINYINT NOT NULL DEFAULT 0, created_at DATETIME, created_by INT, updated_at DATETIME, updated_by INT);
CREATE TABLE user_message (message_id INT NOT NULL, user_id INT NOT NULL, is_originator TINYINT, last_viewed DATETIME, pinned TINYINT DEFAULT 0, PRIMARY KEY (message_id, user_id));
CREATE TABLE user (id INT PRIMARY KEY, username VARCHAR(50));
INSERT INTO user VALUES (1, 'ann'), (2, 'bob');
INSERT INTO message (id, title) VALUES (3, 'Lunch');
INSERT INTO user_message VALUES (3, 1, 1, '2020-06-01 12:00:05', 0), (3, 2, NULL, NULL, 0);
INSERT INTO message_entry VALUES (1, 3, 1, NULL, 'where?', 0, '2020-06-01 12:00:00', 1, '2020-06-01 12:03:00', 1), (2, 3, 2, NULL, NULL, 1, '2020-06-01 12:00:01', 2, '2020-06-01 12:00:01', 2);
