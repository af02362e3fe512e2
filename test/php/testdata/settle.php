<?php

// Flushes until nothing waits, as cron would, and compares what is in the room with the
// orders that were committed: each once, and those of a producer in their order. With the
// argument "begin" it makes the tables instead, with "expire" it ends the lease of a
// producer that was killed, as if its time were over.

declare(strict_types=1);

require __DIR__ . '/lib.php';

$pdo = new PDO(getenv('DSN'), getenv('DB_USER') ?: null, getenv('DB_PASSWORD') ?: null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
$chat = client();
$outbox = new Roomtide\Outbox($chat, $pdo);
if (($argv[1] ?? '') === 'begin') {
    $pdo->exec('CREATE TABLE orders (producer VARCHAR(20) NOT NULL, number INT NOT NULL)');
    $outbox->install();
    $chat->rooms()->put('orders');
    exit("ok\n");
}

$pdo->exec('UPDATE chat_outbox_flush SET held_until = 0');
if (($argv[1] ?? '') === 'expire') {
    exit("ok\n");
}
for ($end = time() + 120; $outbox->waiting() > 0 && time() < $end;) {
    $outbox->flush();
}
same(0, $outbox->waiting(), 'waiting');
same([], $outbox->failed(), 'failed');
$want = [];
foreach ($pdo->query('SELECT producer, number FROM orders ORDER BY producer, number') as [$producer, $number]) {
    $want[$producer][] = (int) $number;
}
$got = [];
foreach ($chat->messages('orders') as $message) {
    $got[$message['user']][] = (int) $message['message'];
}
ksort($got);
same($want, $got, 'the room');
that(count($want) > 1, 'there are orders');

echo "ok\n";
