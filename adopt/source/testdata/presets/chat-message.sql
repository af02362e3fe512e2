CREATE TABLE chat_message (chat_message_id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, to_user_id INT NOT NULL, from_user_id INT NOT NULL, chat_message MEDIUMTEXT NOT NULL, timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, status INT NOT NULL) ENGINE=MyISAM CHARSET latin1;
CREATE TABLE login (user_id INT PRIMARY KEY, username VARCHAR(255), password VARCHAR(255)) CHARSET latin1;
INSERT INTO login VALUES (1, 'ann', 'x'), (2, 'bob', 'x');
SET SESSION sql_mode = '';
INSERT INTO chat_message VALUES (1, 2, 1, CONVERT(X'636166C3A920F09F918D' USING latin1), '2020-01-02 03:04:05', 0), (2, 1, 2, X'68E9', '2020-01-02 03:04:06', 1), (3, 0, 2, '<p><img src="upload/cat.jpg" class="img-thumbnail"></p>', '2020-01-02 03:04:07', 0), (4, 2, 1, 'regretted', '0000-00-00 00:00:00', 2);
