<?php

// Receives webhooks: each event once, in a table of the shop. The server sends an event again
// until it is answered with 2xx, so that nothing is lost when this page fails.

declare(strict_types=1);

use Roomtide\Exception\WebhookException;
use Roomtide\Webhook;

require __DIR__ . '/../chat.php';

try {
    // The secret that "roomtide webhook add" has printed, in a file beside the pages.
    $hook = new Webhook(trim((string) file_get_contents(__DIR__ . '/../webhook.secret')));
    $received = $hook->verify(getallheaders(), (string) file_get_contents('php://input'));
} catch (WebhookException $e) {
    http_response_code(400);
    exit;
}

$pdo = database();
$pdo->exec('CREATE TABLE IF NOT EXISTS events (id TEXT NOT NULL PRIMARY KEY, type TEXT NOT NULL, room TEXT, body TEXT NOT NULL)');
$once = $pdo->prepare('INSERT OR IGNORE INTO events (id, type, room, body) VALUES (?, ?, ?, ?)'); // an id that was here is ignored
$pdo->beginTransaction();
foreach ($received['type'] === 'batch' ? $received['data']['events'] : [$received] as $event) {
    $once->execute([$event['id'], $event['type'], $event['data']['room'] ?? null, json_encode($event['data'])]);
}
$pdo->commit();
http_response_code(204);
