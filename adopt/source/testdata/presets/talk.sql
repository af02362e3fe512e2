CREATE TABLE conversations (id INT PRIMARY KEY, user_one INT, user_two INT, status TINYINT DEFAULT 1, created_at TIMESTAMP NULL, updated_at TIMESTAMP NULL);
CREATE TABLE messages (id INT AUTO_INCREMENT PRIMARY KEY, message TEXT, is_seen TINYINT DEFAULT 0, deleted_from_sender TINYINT DEFAULT 0, deleted_from_receiver TINYINT DEFAULT 0, user_id INT, conversation_id INT, created_at TIMESTAMP NULL, updated_at TIMESTAMP NULL);
CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(255));
INSERT INTO users VALUES (1, 'Ann'), (22, 'Bob');
INSERT INTO conversations (id, user_one, user_two) VALUES (4, 22, 1);
INSERT INTO messages VALUES (1, 'hi', 1, 1, 0, 1, 4, '2018-01-01 00:00:00', NULL), (2, 'gone', 0, 1, 1, 22, 4, '2018-01-01 00:00:01', NULL);
