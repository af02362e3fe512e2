CREATE TABLE mibew_thread (threadid INT PRIMARY KEY AUTO_INCREMENT, username VARCHAR(64), userid VARCHAR(255), agentname VARCHAR(64), agentid INT DEFAULT 0, istate INT DEFAULT 0, dtmcreated INT, groupid INT) CHARSET utf8;
CREATE TABLE mibew_message (messageid INT PRIMARY KEY AUTO_INCREMENT, threadid INT NOT NULL, ikind INT NOT NULL, agentid INT NOT NULL DEFAULT 0, tmessage TEXT NOT NULL, plugin VARCHAR(256) NOT NULL DEFAULT '', data TEXT, dtmcreated INT NOT NULL DEFAULT 0, tname VARCHAR(64)) CHARSET utf8;
CREATE TABLE mibew_operator (operatorid INT PRIMARY KEY, vclogin VARCHAR(64), vclocalename VARCHAR(64));
INSERT INTO mibew_operator VALUES (4, 'ann', 'Ann');
INSERT INTO mibew_thread (threadid, username, userid, agentid) VALUES (1, 'Guest', '4f3a.12', 4);
INSERT INTO mibew_message VALUES (1, 1, 6, 0, 'Visitor came from page /', '', NULL, 1400000000, NULL), (2, 1, 1, 0, 'help!', '', NULL, 1400000001, 'Guest'), (3, 1, 2, 4, 'sure', '', NULL, 1400000002, 'Ann'), (4, 1, 3, 0, 'not for visitors', '', NULL, 1400000003, NULL), (5, 1, 7, 0, '', 'box', 'a:1:{s:4:"text";s:2:"ok";}', 1400000004, NULL);
