CREATE TABLE IF NOT EXISTS chat_outbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    message     TEXT NOT NULL,
    enqueued_at INTEGER NOT NULL,
    failed_at   INTEGER NULL,
    error       TEXT NULL
);

CREATE TABLE IF NOT EXISTS chat_outbox_flush (
    id     INTEGER NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    held_until INTEGER NOT NULL
);

INSERT OR IGNORE INTO chat_outbox_flush (id, holder, held_until) VALUES (1, '', 0);
