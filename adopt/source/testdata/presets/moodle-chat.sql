CREATE TABLE mdl_chat (id BIGINT PRIMARY KEY, course BIGINT, name VARCHAR(255));
CREATE TABLE mdl_chat_messages (id BIGINT AUTO_INCREMENT PRIMARY KEY, chatid BIGINT, userid BIGINT, groupid BIGINT, issystem TINYINT(1), message LONGTEXT, timestamp BIGINT);
CREATE TABLE mdl_chat_messages_current (id BIGINT AUTO_INCREMENT PRIMARY KEY, chatid BIGINT, userid BIGINT, groupid BIGINT, issystem TINYINT(1), message LONGTEXT, timestamp BIGINT);
CREATE TABLE mdl_user (id BIGINT PRIMARY KEY, deleted TINYINT, firstname VARCHAR(100), lastname VARCHAR(100));
INSERT INTO mdl_chat VALUES (1, 1, 'Seminar');
INSERT INTO mdl_user VALUES (3, 0, 'Ann', 'Lee');
INSERT INTO mdl_chat_messages VALUES (1, 1, 3, 0, 1, 'enter', 1300000000), (2, 1, 3, 0, 0, 'good <i>morning</i>', 1300000001);
INSERT INTO mdl_chat_messages_current SELECT * FROM mdl_chat_messages;
