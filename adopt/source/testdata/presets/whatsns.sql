CREATE TABLE whatsns_message (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, `from` VARCHAR(15), fromuid MEDIUMINT UNSIGNED, touid MEDIUMINT UNSIGNED, new TINYINT DEFAULT 1, subject VARCHAR(75), time INT UNSIGNED, content TEXT, status TINYINT DEFAULT 0) ENGINE=MyISAM CHARSET utf8;
CREATE TABLE whatsns_user (uid MEDIUMINT UNSIGNED PRIMARY KEY, username CHAR(18)) CHARSET utf8;
INSERT INTO whatsns_user VALUES (1, 'ann'), (2, 'bob');
INSERT INTO whatsns_message VALUES (1, 'ann', 1, 2, 0, '问题', 1500000000, '<p>你好</p>', 0), (2, '', 0, 1, 1, 'Points', 1500000001, 'You got 5', 0);
