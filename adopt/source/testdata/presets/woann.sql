CREATE TABLE c_chat_record (id INT AUTO_INCREMENT PRIMARY KEY, user_id INT, friend_id INT DEFAULT 0, group_id INT DEFAULT 0, content VARCHAR(1000), time INT) CHARSET utf8mb4;
CREATE TABLE c_group (id INT PRIMARY KEY, groupname VARCHAR(255));
CREATE TABLE c_group_member (id INT AUTO_INCREMENT PRIMARY KEY, group_id INT, user_id INT);
CREATE TABLE c_user (id INT PRIMARY KEY, nickname VARCHAR(255));
INSERT INTO c_user VALUES (1, 'Ann'), (2, 'Bob');
INSERT INTO c_group VALUES (10, 'All');
INSERT INTO c_group_member (group_id, user_id) VALUES (10, 1), (10, 2);
INSERT INTO c_chat_record (user_id, friend_id, group_id, content, time) VALUES (1, 2, 0, 'hi face[微笑]', 1550000000), (2, 0, 10, 'all', 1550000001);
