<?php

// Sends messages, some in batches, while the node is killed and comes back. It prints a
// line after each.

declare(strict_types=1);

require __DIR__ . '/lib.php';

$chat = client(['timeout' => 120.0, 'tries' => 1000000]);
$chat->rooms()->put('r');
for ($i = 0; $i < 150; $i++) {
    if ($i % 10 === 9) {
        $outcomes = $chat->sendBatch([['room' => 'r', 'user' => 'ann', 'message' => "$i"]]);
        same(null, $outcomes[0]->error, 'an error');
    } else {
        $chat->send('r', 'ann', "$i");
    }
    echo $i, "\n";
}
$texts = array_column(iterator_to_array($chat->messages('r'), false), 'message');
same(array_map('strval', range(0, 149)), $texts, 'the room');

echo "ok\n";
