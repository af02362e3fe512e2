<?php

// A token for the user who is logged in. The page asks for one before each connection, so
// it need not be good for long.

declare(strict_types=1);

require __DIR__ . '/../chat.php';

$user = user();
header('Content-Type: text/plain');
header('Cache-Control: no-store');
if ($user === null) {
    http_response_code(401);
    exit;
}
echo tokens()->token($user, ['name' => $user, 'rooms' => [ROOM], 'ttl' => 600]);
