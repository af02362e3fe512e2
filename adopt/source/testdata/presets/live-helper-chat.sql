CREATE TABLE lh_msg (id BIGINT AUTO_INCREMENT PRIMARY KEY, msg LONGTEXT NOT NULL, meta_msg LONGTEXT NOT NULL, time INT NOT NULL, chat_id BIGINT NOT NULL DEFAULT 0, user_id INT NOT NULL DEFAULT 0, del_st TINYINT NOT NULL DEFAULT 0, name_support VARCHAR(100) NOT NULL DEFAULT '', KEY (chat_id, id)) COLLATE utf8mb4_unicode_ci;
CREATE TABLE lh_chat (id BIGINT AUTO_INCREMENT PRIMARY KEY, nick VARCHAR(100), status INT, time INT, user_id INT, hash VARCHAR(40), dep_id INT);
CREATE TABLE lh_users (id INT PRIMARY KEY, username VARCHAR(80), name VARCHAR(100), surname VARCHAR(100));
INSERT INTO lh_users VALUES (2, 'ann', 'Ann', 'Lee');
INSERT INTO lh_chat VALUES (7, 'Visitor', 1, 1700000000, 2, 'x', 1);
INSERT INTO lh_msg (msg, meta_msg, time, chat_id, user_id) VALUES ('hello [b]there[/b]', '', 1700000000, 7, 0), ('[file=12_abc]', '', 1700000001, 7, 2), ('Ann has joined', '{"a":1}', 1700000002, 7, -1);
