<?php

// What a shop does, and what it says in the chat: both, or neither.

declare(strict_types=1);

require __DIR__ . '/../chat.php';

$user = user();
if ($_SERVER['REQUEST_METHOD'] !== 'POST' || $user === null) {
    http_response_code($user === null ? 401 : 405);
    exit;
}
session_write_close(); // the next page of this user need not wait

$pdo = database();
$pdo->beginTransaction();
$pdo->prepare('INSERT INTO orders (buyer) VALUES (?)')->execute([$user]);
$number = $pdo->lastInsertId();
outbox()->enqueue(ROOM, 'system', "$user has ordered: number $number.");
$pdo->commit();

outbox()->flush(1.0); // what does not go now goes with cron.php
http_response_code(204);
