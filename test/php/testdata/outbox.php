<?php

// The outbox in a database (DSN, DB_USER, DB_PASSWORD).

declare(strict_types=1);

require __DIR__ . '/lib.php';

use Roomtide\Client;
use Roomtide\Exception;
use Roomtide\Outbox;

function pdo(array $options = []): PDO
{
    return new PDO(getenv('DSN'), getenv('DB_USER') ?: null, getenv('DB_PASSWORD') ?: null, $options);
}

function texts(Client $chat, string $room): array
{
    return array_column(iterator_to_array($chat->messages($room), false), 'message');
}

$chat = client();
$chat->rooms()->put('shop');

// In every error mode, and whatever is done to values on their way.
foreach ([PDO::ERRMODE_SILENT, PDO::ERRMODE_EXCEPTION] as $mode) {
    $pdo = pdo([PDO::ATTR_ERRMODE => $mode, PDO::ATTR_STRINGIFY_FETCHES => true, PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_OBJ]);
    $outbox = new Outbox($chat, $pdo);
    thrown(PDOException::class, static function () use ($chat, $pdo): void {
        (new Outbox($chat, $pdo, 'not_installed'))->enqueue('shop', 'ann', 'x');
    });
    $outbox->install();
    $outbox->install(); // again
}

// What is rolled back is not sent; what is committed is, once, with the key it was given.
$pdo->beginTransaction();
$outbox->enqueue('shop', 'ann', 'rolled back');
$pdo->rollBack();
$pdo->beginTransaction();
$key = $outbox->enqueue('shop', 'ann', 'Köln 世界 😀', ['data' => ['price' => 1.0, 'list' => []], 'name' => 'Ann']);
same('order-4711', $outbox->enqueue('shop', 'ann', 'two', ['key' => 'order-4711']), 'the key');
thrown(LogicException::class, [$outbox, 'flush']);
$pdo->commit();
same([], texts($chat, 'shop'), 'before the flush');
same(2, $outbox->waiting(), 'waiting');
$result = $outbox->flush();
same([2, 0, null, 0], [$result->sent, $result->failed, $result->error, $outbox->waiting()], 'the flush');
$messages = $chat->history('shop')['messages'];
same(['Köln 世界 😀', $key, 'Ann'], [$messages[0]['message'], $messages[0]['key'], $messages[0]['name']], 'the message');
same('{"price":1.0,"list":[]}', json_encode($messages[0]['data'], JSON_PRESERVE_ZERO_FRACTION), 'its data');
same(0, $outbox->flush()->sent, 'again');

// A process that died between the answer and the row's end has sent the message: once.
$outbox->enqueue('shop', 'ann', 'three', ['key' => 'k3']);
$chat->send('shop', 'ann', 'three', ['key' => 'k3']);
same(1, $outbox->flush()->sent, 'sent by another');
same(['Köln 世界 😀', 'two', 'three'], texts($chat, 'shop'), 'texts');

// While the server is away, or the key is wrong, everything stays, and nothing is thrown.
for ($i = 0; $i < 230; $i++) {
    $outbox->enqueue('shop', 'ann', "away $i");
}
foreach ([[new Client('http://127.0.0.1:1', 'x'), Exception\TransportException::class], [new Client(getenv('URL'), 'rtk_nobody_nothing', ['timeout' => 60.0]), Exception\UnauthenticatedException::class]] as [$wrong, $class]) {
    $result = (new Outbox($wrong, $pdo))->flush();
    same([0, 0, $class, 230], [$result->sent, $result->failed, get_class($result->error), $outbox->waiting()], $class);
}
$result = $outbox->flush(60.0);
same([230, 0, null], [$result->sent, $result->failed, $result->error], 'it is back');
same('away 229', $chat->history('shop', ['limit' => 1])['messages'][0]['message'], 'the last');

// What the server refuses for good keeps nobody back, and can be tried again.
$outbox->enqueue('later', 'ann', 'no such room');
$outbox->enqueue('shop', 'ann', '');
$outbox->enqueue('shop', 'ann', 'good');
$result = $outbox->flush();
same([1, 2, null, 0], [$result->sent, $result->failed, $result->error, $outbox->waiting()], 'refused');
[$a, $b] = $outbox->failed();
same(['no such room', true, true], [$a['message']['message'], strpos($a['error'], 'not_found') === 0, strpos($b['error'], 'invalid') === 0], 'the reasons');
$chat->rooms()->put('later');
$outbox->retry($a['id']);
same(1, $outbox->flush()->sent, 'tried again');
same([$b['id']], array_column($outbox->failed(), 'id'), 'the other');
$outbox->forget();
same([], $outbox->failed(), 'forgotten');

// While another process is at it, a flush leaves everything to it; one that has died is
// replaced when its lease is over.
$outbox->enqueue('shop', 'ann', 'by the other');
$pdo->exec("UPDATE chat_outbox_flush SET holder = 'another', held_until = " . (time() + 60));
same(0, $outbox->flush()->sent, 'it is held');
$pdo->exec('UPDATE chat_outbox_flush SET held_until = ' . time());
same(1, $outbox->flush()->sent, 'it has died');

echo "ok\n";
