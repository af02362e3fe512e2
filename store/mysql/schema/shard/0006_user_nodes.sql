-- The nodes at which a user is connected, with line breaks between their names; no row
-- of who is offline. It is kept while the host wants to be told.

CREATE TABLE IF NOT EXISTS {user_nodes} (
	slot    SMALLINT       NOT NULL,
	user_id VARBINARY(512) NOT NULL,
	nodes   TEXT           NOT NULL,
	PRIMARY KEY (slot, user_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The language of notifications on a device; empty: that of the server. Not every server
-- knows ADD COLUMN IF NOT EXISTS.

SET @step = (SELECT IF(count(*) = 0, 'ALTER TABLE {devices} ADD COLUMN language VARCHAR(255) NOT NULL DEFAULT ''''', 'DO 0')
	FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{devices}' AND column_name = 'language');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
