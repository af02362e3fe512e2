CREATE TABLE ossn_messages (id BIGINT AUTO_INCREMENT PRIMARY KEY, message_from BIGINT, message_to BIGINT, message TEXT, viewed VARCHAR(1), time INT) COLLATE utf8mb4_general_ci;
CREATE TABLE ossn_entities (guid BIGINT AUTO_INCREMENT PRIMARY KEY, owner_guid BIGINT, type TEXT, subtype TEXT, time_created INT);
CREATE TABLE ossn_users (guid BIGINT PRIMARY KEY, username TEXT, first_name TEXT, last_name TEXT);
INSERT INTO ossn_users VALUES (1, 'ann', 'Ann', 'Lee'), (2, 'bob', 'Bob', 'Ray');
INSERT INTO ossn_messages VALUES (1, 1, 2, 'it&#039;s &lt;ok&gt;', '1', 1500000000), (2, 2, 1, '', '0', 1500000001);
