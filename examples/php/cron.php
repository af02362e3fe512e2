<?php

// Once a minute: sends what could not be sent when it was committed.

declare(strict_types=1);

require __DIR__ . '/chat.php';

$result = outbox()->flush(50.0);
if ($result->error !== null || $result->failed > 0) {
    fwrite(STDERR, "{$result->sent} sent, {$result->failed} refused; " . ($result->error ? $result->error->getMessage() : 'see Outbox::failed()') . "\n");
    exit(1);
}
