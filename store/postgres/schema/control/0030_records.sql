-- Small things that the deployment keeps, by collection: webhooks, and what they could
-- not deliver.
CREATE TABLE IF NOT EXISTS {records} (
	collection TEXT COLLATE "C" NOT NULL,
	id         TEXT COLLATE "C" NOT NULL,
	body       BYTEA NOT NULL,
	PRIMARY KEY (collection, id)
);
