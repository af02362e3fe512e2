-- The users that a message mentions, with line breaks between their ids; NULL for none. Not
-- every server knows ADD COLUMN IF NOT EXISTS.

SET @step = (SELECT IF(count(*) = 0, 'ALTER TABLE {messages} ADD COLUMN mentions TEXT NULL', 'DO 0')
	FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{messages}' AND column_name = 'mentions');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
