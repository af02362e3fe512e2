CREATE TABLE IF NOT EXISTS chat_outbox (
    id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    message     MEDIUMTEXT CHARACTER SET ascii NOT NULL,
    enqueued_at BIGINT NOT NULL,
    failed_at   BIGINT NULL,
    error       TEXT CHARACTER SET utf8mb4 NULL
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS chat_outbox_flush (
    id     TINYINT NOT NULL PRIMARY KEY,
    holder VARCHAR(36) CHARACTER SET ascii NOT NULL,
    held_until BIGINT NOT NULL
) ENGINE=InnoDB;

INSERT IGNORE INTO chat_outbox_flush (id, holder, held_until) VALUES (1, '', 0);
