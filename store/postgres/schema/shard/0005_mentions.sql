-- The users that a message mentions, with line breaks between their ids; NULL for none.

ALTER TABLE {messages} ADD COLUMN IF NOT EXISTS mentions TEXT;
