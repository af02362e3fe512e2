<?php

// A part of an application: it writes orders and their messages in transactions, some of
// which are rolled back, and flushes after each. Arguments: its name, and how many orders
// it writes. It prints a line after each.

declare(strict_types=1);

require __DIR__ . '/lib.php';

[, $name, $orders] = $argv;
$pdo = new PDO(getenv('DSN'), getenv('DB_USER') ?: null, getenv('DB_PASSWORD') ?: null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
$outbox = new Roomtide\Outbox(client(['timeout' => 2.0]), $pdo);
for ($i = 0; $i < (int) $orders; $i++) {
    $pdo->beginTransaction();
    $pdo->exec("INSERT INTO orders (producer, number) VALUES ('$name', $i)");
    $outbox->enqueue('orders', $name, "$i");
    if ($i % 5 === 4) {
        $pdo->rollBack();
    } else {
        $pdo->commit();
    }
    $outbox->flush(1.0);
    echo $i, "\n";
}
