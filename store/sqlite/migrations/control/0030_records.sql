-- +goose Up

-- Small things that the deployment keeps, by collection: webhooks, and what they could
-- not deliver.

CREATE TABLE records (
	collection TEXT NOT NULL,
	id         TEXT NOT NULL,
	body       BLOB NOT NULL,
	PRIMARY KEY (collection, id)
) WITHOUT ROWID;
