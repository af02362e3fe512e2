CREATE TABLE ch_messages (id CHAR(36) NOT NULL PRIMARY KEY, from_id BIGINT NOT NULL, to_id BIGINT NOT NULL, body VARCHAR(5000) NULL, attachment VARCHAR(255) NULL, seen TINYINT(1) NOT NULL DEFAULT 0, created_at TIMESTAMP NULL, updated_at TIMESTAMP NULL) CHARSET utf8mb4;
CREATE TABLE ch_favorites (id CHAR(36) PRIMARY KEY, user_id BIGINT, favorite_id BIGINT, created_at TIMESTAMP NULL, updated_at TIMESTAMP NULL);
CREATE TABLE users (id BIGINT PRIMARY KEY, name VARCHAR(255), email VARCHAR(255));
INSERT INTO users VALUES (9, 'Ann', ''), (10, 'Bob', '');
INSERT INTO ch_messages VALUES ('a0000000-0000-0000-0000-000000000001', 9, 10, '&lt;3 &amp;amp; &quot;caf&eacute;&quot;', NULL, 1, '2023-05-01 10:00:00', '2023-05-02 10:00:00'), ('00000000-0000-0000-0000-000000000002', 10, 9, NULL, '{"new_name":"x.png","old_name":"cat.png"}', 0, '2023-05-01 10:00:01', NULL);
