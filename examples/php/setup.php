<?php

// Once: the room, the table of orders and the outbox.

declare(strict_types=1);

require __DIR__ . '/chat.php';

chat()->rooms()->put(ROOM, ['title' => 'Shop', 'open' => false]);
chat()->users()->put('system', ['name' => 'The shop']);
database()->exec('CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY, buyer TEXT NOT NULL)');
outbox()->install();
