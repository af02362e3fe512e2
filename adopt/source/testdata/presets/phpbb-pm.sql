CREATE TABLE phpbb_privmsgs (msg_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, root_level INT UNSIGNED DEFAULT 0, author_id INT UNSIGNED, message_time INT UNSIGNED, message_subject VARCHAR(255), message_text MEDIUMTEXT, message_edit_time INT UNSIGNED DEFAULT 0, bbcode_uid VARCHAR(8) DEFAULT '', to_address TEXT) COLLATE utf8mb3_bin;
CREATE TABLE phpbb_privmsgs_to (msg_id INT UNSIGNED, user_id INT UNSIGNED, author_id INT UNSIGNED, pm_deleted TINYINT DEFAULT 0, pm_unread TINYINT DEFAULT 1, folder_id INT DEFAULT 0, KEY (msg_id));
CREATE TABLE phpbb_users (user_id INT UNSIGNED PRIMARY KEY, user_type TINYINT, username VARCHAR(255)) COLLATE utf8mb3_bin;
INSERT INTO phpbb_users VALUES (1, 2, 'Anonymous'), (2, 3, 'Ann'), (3, 0, 'Bob');
INSERT INTO phpbb_privmsgs (msg_id, root_level, author_id, message_time, message_subject, message_text, message_edit_time, to_address) VALUES (10, 0, 2, 1600000000, 'Hello', '<t>hi Bob</t>', 0, 'u_3'), (11, 10, 3, 1600000100, 'Re: Hello', '<t>hi &amp; bye</t>', 1600000200, 'u_2');
INSERT INTO phpbb_privmsgs_to (msg_id, user_id, author_id, pm_unread) VALUES (10, 3, 2, 0), (10, 2, 2, 0), (11, 2, 3, 1), (11, 3, 3, 0);
