CREATE TABLE messages (msg_id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, incoming_msg_id INT NOT NULL, outgoing_msg_id INT NOT NULL, msg VARCHAR(1000) NOT NULL);
CREATE TABLE users (user_id INT PRIMARY KEY, unique_id INT NOT NULL, fname VARCHAR(255), lname VARCHAR(255), email VARCHAR(255), password VARCHAR(255), img VARCHAR(255), status VARCHAR(255));
INSERT INTO users VALUES (1, 900, 'Ann', 'Lee', 'a@x.test', 'x', '', 'Active now'), (2, 1000, 'Bob', 'Ray', 'b@x.test', 'x', '', 'Offline now');
INSERT INTO messages VALUES (1, 1000, 900, 'hello'), (2, 900, 1000, 'hey'), (3, 900, 900, 'note to myself');
