<?php

// Makes the room, and then waits for what was pushed into Redis.

declare(strict_types=1);

require __DIR__ . '/lib.php';

if (($argv[1] ?? '') === 'begin') {
    client()->rooms()->put('shop');
    echo "ok\n";
    exit;
}

for ($end = time() + 60; count($got = iterator_to_array(client()->messages('shop'), false)) < 2 && time() < $end;) {
    usleep(20000);
}
$texts = array_column($got, 'message');
sort($texts);
same(['Order 4711 has left.', 'streamed'], $texts);
same(['system', 'order-4711'], [$got[0]['user'] === 'ann' ? $got[1]['user'] : $got[0]['user'], $got[0]['user'] === 'ann' ? $got[1]['key'] : $got[0]['key']]);
echo "ok\n";
