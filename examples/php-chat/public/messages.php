<?php

// Messages after the one that the page has; or, with POST, a new one.

declare(strict_types=1);

require __DIR__ . '/../chat.php';

$user = user();
if ($user === null) {
    http_response_code(401);
    exit;
}
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $text = trim((string) ($_POST['message'] ?? ''));
    if ($text !== '') {
        database()->prepare('INSERT INTO messages (room_id, user_id, message, created_at) VALUES (?, ?, ?, UTC_TIMESTAMP())')
            ->execute([ROOM, $user['id'], $text]);
    }
    http_response_code(204);
    exit;
}
$rows = database()->prepare('SELECT m.id, u.name, m.message FROM messages m JOIN users u ON u.id = m.user_id WHERE m.room_id = ? AND m.id > ? ORDER BY m.id LIMIT 200');
$rows->execute([ROOM, (int) ($_GET['after'] ?? 0)]);
header('Content-Type: application/json');
echo json_encode(array_map(static function (array $row): array {
    $row['id'] = (int) $row['id'];

    return $row;
}, $rows->fetchAll()), JSON_THROW_ON_ERROR);
