<?php

// A token for the user who is logged in, which the new page asks for before it connects.

declare(strict_types=1);

require __DIR__ . '/../chat.php';

$user = user();
if ($user === null) {
    http_response_code(401);
    exit;
}
$key = hex2bin(trim((string) file_get_contents(__DIR__ . '/../token.key')));
$encode = static fn (string $s): string => rtrim(strtr(base64_encode($s), '+/', '-_'), '=');
$claims = ['sub' => (string) $user['id'], 'name' => $user['name'], 'rooms' => [(string) ROOM], 'iat' => time(), 'exp' => time() + 3600];
$text = $encode('{"alg":"HS256","typ":"JWT"}') . '.' . $encode(json_encode($claims, JSON_THROW_ON_ERROR));
echo $text . '.' . $encode(hash_hmac('sha256', $text, $key, true));
