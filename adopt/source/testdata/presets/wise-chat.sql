CREATE TABLE wp_wise_chat_messages (id MEDIUMINT(7) NOT NULL AUTO_INCREMENT PRIMARY KEY, time BIGINT NOT NULL, admin BOOLEAN NOT NULL DEFAULT 0, user TINYTEXT NOT NULL, user_id BIGINT, chat_user_id BIGINT, channel TEXT NOT NULL, chat_recipient_id BIGINT, text TEXT NOT NULL, ip TEXT, avatar_url TEXT) CHARSET utf8mb4;
CREATE TABLE wp_users (ID BIGINT UNSIGNED PRIMARY KEY, display_name VARCHAR(250));
INSERT INTO wp_users VALUES (3, 'Ann');
INSERT INTO wp_wise_chat_messages (time, user, user_id, chat_user_id, channel, chat_recipient_id, text) VALUES (1600000000, 'Ann', 3, 10, 'Global Café', NULL, 'hello'), (1600000001, 'Anonymous1', NULL, 11, 'Global Café', NULL, 'hi'), (1600000002, 'Ann', 3, 10, '__private', 11, 'psst');
