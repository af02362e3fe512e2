CREATE TABLE phpbb_mchat (message_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, user_id INT UNSIGNED, user_ip VARCHAR(40), message MEDIUMTEXT, bbcode_bitfield VARCHAR(255), bbcode_uid VARCHAR(8), bbcode_options TINYINT, message_time INT, forum_id INT DEFAULT 0, post_id INT DEFAULT 0) COLLATE utf8mb3_bin;
CREATE TABLE phpbb_mchat_log (log_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, log_type TINYINT, user_id INT, message_id INT, log_time INT);
CREATE TABLE phpbb_users (user_id INT UNSIGNED PRIMARY KEY, user_type TINYINT, username VARCHAR(255)) COLLATE utf8mb3_bin;
INSERT INTO phpbb_users VALUES (1, 2, 'Anonymous'), (2, 3, 'Ann &amp; Co');
INSERT INTO phpbb_mchat (user_id, message, bbcode_uid, message_time) VALUES (2, '<t>5 &lt; 6<br/>\nnext</t>', '', 1500000000), (2, '<r><B><s>[b]</s>bold<e>[/b]</e></B></r>', '', 1500000001), (2, '[b:1a2b3c4d]old[/b:1a2b3c4d] &quot;x&quot;', '1a2b3c4d', 1500000002);
