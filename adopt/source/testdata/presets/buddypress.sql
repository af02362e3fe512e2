CREATE TABLE wp_bp_messages_messages (id BIGINT AUTO_INCREMENT PRIMARY KEY, thread_id BIGINT NOT NULL, sender_id BIGINT NOT NULL, subject VARCHAR(200) NOT NULL, message LONGTEXT NOT NULL, date_sent DATETIME NOT NULL);
CREATE TABLE wp_bp_messages_recipients (id BIGINT AUTO_INCREMENT PRIMARY KEY, user_id BIGINT NOT NULL, thread_id BIGINT NOT NULL, unread_count INT NOT NULL DEFAULT 0, sender_only TINYINT NOT NULL DEFAULT 0, is_deleted TINYINT NOT NULL DEFAULT 0);
CREATE TABLE wp_users (ID BIGINT UNSIGNED PRIMARY KEY, user_login VARCHAR(60), display_name VARCHAR(250));
INSERT INTO wp_users VALUES (1, 'ann', 'Ann &amp; Co'), (2, 'bob', 'Bob');
INSERT INTO wp_bp_messages_recipients (user_id, thread_id, is_deleted) VALUES (1, 5, 0), (2, 5, 1);
INSERT INTO wp_bp_messages_messages VALUES (1, 5, 1, 'Offer', 'It\\\'s <b>here</b>\nsee <a href="https://x.test/">x.test</a>', '2024-07-01 12:00:00'), (2, 5, 2, 'Re: Offer', '5 &gt; 4 <3', '2024-07-01 12:01:00');
