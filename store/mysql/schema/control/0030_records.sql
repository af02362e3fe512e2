-- Small things that the deployment keeps, by collection: webhooks, and what they could
-- not deliver.
CREATE TABLE IF NOT EXISTS {records} (
	collection VARBINARY(128) NOT NULL,
	id         VARBINARY(128) NOT NULL,
	body       MEDIUMBLOB     NOT NULL,
	PRIMARY KEY (collection, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
