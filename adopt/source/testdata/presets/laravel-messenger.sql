CREATE TABLE threads (id INT UNSIGNED PRIMARY KEY, subject VARCHAR(255), created_at TIMESTAMP NULL, updated_at TIMESTAMP NULL, deleted_at TIMESTAMP NULL);
CREATE TABLE messages (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, thread_id INT UNSIGNED, user_id INT UNSIGNED, body TEXT, created_at TIMESTAMP NULL, updated_at TIMESTAMP NULL, deleted_at TIMESTAMP NULL);
CREATE TABLE participants (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, thread_id INT UNSIGNED, user_id INT UNSIGNED, last_read TIMESTAMP NULL, created_at TIMESTAMP NULL, updated_at TIMESTAMP NULL, deleted_at TIMESTAMP NULL);
CREATE TABLE users (id INT UNSIGNED PRIMARY KEY, name VARCHAR(255));
INSERT INTO threads (id, subject) VALUES (1, 'Plans');
INSERT INTO users VALUES (1, 'Ann'), (2, 'Bob');
INSERT INTO participants (thread_id, user_id, last_read, deleted_at) VALUES (1, 1, '2021-02-03 04:05:06', NULL), (1, 2, NULL, '2021-03-01 00:00:00');
INSERT INTO messages VALUES (1, 1, 1, 'one', '2021-02-03 04:05:05', '2021-02-03 04:05:05', NULL), (2, 1, 2, 'two', '2021-02-03 04:05:07', '2021-02-03 04:05:07', '2021-02-04 00:00:00'), (3, 1, 2, 'no time', NULL, NULL, NULL);
