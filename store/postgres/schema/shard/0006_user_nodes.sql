-- The nodes at which a user is connected, with line breaks between their names; no row
-- of who is offline. It is kept while the host wants to be told.

CREATE TABLE IF NOT EXISTS {user_nodes} (
	slot BIGINT NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL,
	nodes TEXT NOT NULL,
	PRIMARY KEY (slot, user_id)
);

-- The language of notifications on a device; empty: that of the server.

ALTER TABLE {devices} ADD COLUMN IF NOT EXISTS language TEXT NOT NULL DEFAULT '';
