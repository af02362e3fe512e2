CREATE TABLE yu_message (msg_id INT AUTO_INCREMENT PRIMARY KEY, id VARCHAR(36), from_user INT, to_user INT, content TEXT, chat_identify VARCHAR(64), type VARCHAR(20), is_group TINYINT DEFAULT 0, is_read TINYINT DEFAULT 0, is_last TINYINT DEFAULT 0, create_time INT, is_undo TINYINT DEFAULT 0, at VARCHAR(255), pid INT DEFAULT 0, file_id INT DEFAULT 0, file_cate INT, file_size INT, file_name VARCHAR(255) DEFAULT '', extends TEXT, status TINYINT DEFAULT 1, del_user TEXT) CHARSET utf8mb4;
CREATE TABLE yu_group (group_id INT PRIMARY KEY, name VARCHAR(64)) CHARSET utf8mb4;
CREATE TABLE yu_group_user (id INT AUTO_INCREMENT PRIMARY KEY, group_id INT, user_id INT, role TINYINT DEFAULT 3, unread INT DEFAULT 0, no_speak_time INT DEFAULT 0, status TINYINT DEFAULT 1);
CREATE TABLE yu_user (user_id INT PRIMARY KEY, account VARCHAR(64), realname VARCHAR(64)) CHARSET utf8mb4;
INSERT INTO yu_user VALUES (1, 'a', '安'), (2, 'b', 'Bob');
INSERT INTO yu_group VALUES (4, '家');
INSERT INTO yu_group_user (group_id, user_id, role) VALUES (4, 1, 1), (4, 2, 3);
INSERT INTO yu_message (msg_id, id, from_user, to_user, content, chat_identify, type, is_group, create_time, is_undo, pid, file_name) VALUES (1, 'x1', 1, 2, '你好', '1-2', 'text', 0, 1690000000, 0, 0, ''), (2, 'x2', 2, 1, '/upload/a.png', '1-2', 'image', 0, 1690000001, 0, 1, 'a.png'), (3, 'x3', 1, 4, 'oops', 'group-4', 'text', 1, 1690000002, 1, 0, '');
