CREATE TABLE IF NOT EXISTS chat_outbox (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message     TEXT NOT NULL,
    enqueued_at BIGINT NOT NULL,
    failed_at   BIGINT NULL,
    error       TEXT NULL
);

CREATE TABLE IF NOT EXISTS chat_outbox_flush (
    id     SMALLINT NOT NULL PRIMARY KEY,
    holder VARCHAR(36) NOT NULL,
    held_until BIGINT NOT NULL
);

INSERT INTO chat_outbox_flush (id, holder, held_until) VALUES (1, '', 0) ON CONFLICT DO NOTHING;
