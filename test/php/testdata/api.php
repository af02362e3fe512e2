<?php

// The whole surface of the package, against a node.

declare(strict_types=1);

require __DIR__ . '/lib.php';

use Roomtide\Client;
use Roomtide\Exception;
use Roomtide\Gateway;
use Roomtide\Tokens;

$chat = client();

// Rooms and members. Ids may have anything in them.
$room = 'team/röd #1';
$r = $chat->rooms()->put($room, ['title' => 'Red', 'open' => false, 'data' => ['color' => 'red']]);
same([$room, 'Red', false, ['color' => 'red']], [$r['room'], $r['title'], $r['open'], $r['data']], 'the room');
same('Red 2', $chat->rooms()->put($room, ['title' => 'Red 2'])['title'], 'the title');
same(false, $chat->rooms()->get($room)['open'], 'what was not given');
thrown(Exception\NotFoundException::class, static function () use ($chat): void {
    $chat->rooms()->get('none');
});
$chat->members()->put($room, 'ann', ['role' => 'owner', 'name' => 'Ann']);
$chat->members()->put($room, 'bob');
$chat->members()->mute($room, 'bob', new DateTimeImmutable('+1 hour'));
same(['ann' => 'owner', 'bob' => 'muted'], array_column($chat->members()->list($room)['members'], 'role', 'user'), 'roles');
$chat->members()->put($room, 'bob', ['role' => 'member']);
$chat->members()->ban($room, 'eve');
same(['eve'], array_column($chat->members()->list($room, ['role' => 'banned'])['members'], 'user'), 'banned');
$chat->members()->unban($room, 'eve');
same([], $chat->members()->list($room, ['role' => 'banned'])['members'], 'banned');

// Users.
$chat->users()->put('ann', ['name' => 'Ann B.', 'avatar' => '/ann.png', 'data' => ['n' => 1]]);
same(['user' => 'ann', 'name' => 'Ann B.', 'avatar' => '/ann.png', 'data' => ['n' => 1]], $chat->users()->get('ann'), 'ann');
$many = [];
for ($i = 0; $i < 150; $i++) {
    $many[] = "nobody$i";
}
same(['ann'], array_keys($chat->users()->find('ann', ...$many)), 'users');
same(['ann'], array_keys($chat->users()->find(...array_merge($many, ['ann']))), 'users');

// Messages.
$one = $chat->send($room, 'ann', 'Hello, 世界 😀', ['key' => 'k1', 'data' => ['order' => 4711]]);
same([1, 'k1', false], [$one->seq, $one->key, $one->repeated], 'the first');
that((bool) preg_match('/^\d{4}-\d\d-\d\dT/', $one->time), 'the time');
same([1, true], [$chat->send($room, 'ann', 'Hello, 世界 😀', ['key' => 'k1', 'data' => ['order' => 4711]])->seq, true], 'a repeat');
thrown(Exception\ConflictException::class, static function () use ($chat, $room): void {
    $chat->send($room, 'ann', 'something else', ['key' => 'k1']);
});
$two = $chat->send($room, 'bob', 'Hi', ['reply_to' => 1, 'name' => 'Bobby']);
that($two->key !== '' && $two->seq === 2, 'the second');
$chat->edit($room, 2, 'Hi!', ['user' => 'bob', 'data' => ['edited' => true]]);
$chat->react($room, 1, 'bob', '👍');
$chat->react($room, 1, 'ann', '👍');
$chat->unreact($room, 1, 'ann', '👍');
$page = $chat->history($room);
same([['Hello, 世界 😀', ['order' => 4711]], ['Hi!', ['edited' => true]]], array_map(static function (array $m): array {
    return [$m['message'], $m['data']];
}, $page['messages']), 'history');
same([['emoji' => '👍', 'count' => 1, 'users' => ['bob']]], $page['messages'][0]['reactions'], 'reactions');
same([1, 'Bobby'], [$page['messages'][1]['reply_to'], $page['messages'][1]['name']], 'the reply');
$chat->delete($room, 2);
that($chat->history($room, ['after' => 1])['messages'][0]['deleted'], 'deleted');
$chat->delete($room, 2, 'bob'); // again
foreach (['' => Exception\InvalidException::class, str_repeat('x', 20000) => Exception\TooLargeException::class] as $text => $class) {
    thrown($class, static function () use ($chat, $room, $text): void {
        $chat->send($room, 'ann', (string) $text);
    });
}
thrown(Exception\InvalidException::class, static function () use ($chat, $room): void {
    $chat->send($room, 'ann', 'x', ['attachments' => []]);
});

// Batches: more than fit into one request, each message once and in order.
$chat->rooms()->put('lobby', ['open' => true]);
$chat->members()->put('lobby', 'bob');
$messages = [];
for ($i = 0; $i < 230; $i++) {
    $messages["m$i"] = ['room' => 'lobby', 'user' => 'ann', 'message' => "message $i " . str_repeat('z', $i === 7 ? 3900 : 900), 'key' => "batch-$i"];
}
$messages['none'] = ['room' => 'none', 'user' => 'ann', 'message' => 'x'];
foreach ([201, 200] as $status) {
    $outcomes = $chat->sendBatch($messages);
    same(array_keys($messages), array_keys($outcomes), 'indexes');
    for ($i = 0; $i < 230; $i++) {
        same([$i + 1, $status === 200, "batch-$i"], [$outcomes["m$i"]->sent->seq, $outcomes["m$i"]->sent->repeated, $outcomes["m$i"]->key], "message $i");
    }
    that($outcomes['none']->error instanceof Exception\NotFoundException, 'no such room');
}
$seen = 0;
foreach ($chat->messages('lobby') as $m) {
    same(++$seen, $m['seq'], 'in order');
}
same(230, $seen, 'all of them');
same(230, count($chat->changes('lobby', 0, 500)['messages']), 'changes');

// Read marks.
same(30, $chat->markRead('lobby', 'bob', 200)['unread'], 'unread');
same(31, $chat->unread('bob')['unread'], 'unread in all rooms'); // and one of ann in the other room
same(200, $chat->history('lobby', ['around' => 'read', 'user' => 'bob', 'limit' => 4])['messages'][1]['seq'], 'around');
$chat->typing('lobby', 'bob');
$chat->typing('lobby', 'bob', false);
same(['lobby'], array_column($chat->rooms()->list(['prefix' => 'lob'])['rooms'], 'room'), 'rooms');
same([$room, 'lobby'], (static function (array $rooms): array {
    rsort($rooms);
    return $rooms;
})(array_column($chat->rooms()->list(['user' => 'bob'])['rooms'], 'room')), 'rooms of bob');
same(['online' => [], 'online_count' => 0], array_diff_key($chat->online('lobby'), ['room' => '']), 'online');
same(['none', 0], [$chat->adoption()['state'], $chat->adoption()['generation']], 'no other chat moves in');

// Tokens of the node's own key, and their end.
$tokens = Tokens::fromFile(getenv('TOKEN_KEY'));
$get = static function (string $token): int {
    $h = curl_init(getenv('URL') . '/v1/rooms/lobby');
    curl_setopt_array($h, [CURLOPT_RETURNTRANSFER => true, CURLOPT_HTTPHEADER => ['Authorization: Bearer ' . $token]]);
    curl_exec($h);
    return curl_getinfo($h, CURLINFO_RESPONSE_CODE);
};
$token = $tokens->token('bob', ['name' => 'Bob', 'ttl' => 600, 'rooms' => ['lobby']]);
same(200, $get($token), 'with a token');
same('Bob', $chat->users()->get('bob')['name'], 'the name that the token says');
$chat->users()->putDevice('bob', 'phone', 'log', ['name' => 'b']);
same(['phone'], array_column($chat->users()->devices('bob'), 'device'), 'devices');
same(1, $chat->users()->notify('bob', ['title' => 'Order 7', 'text' => 'is ready', 'data' => ['order' => '7'], 'collapse' => 'order-7', 'ttl' => 60]), 'told');
same(1, $chat->rooms()->notify('lobby', ['text' => 'We close at five.', 'ttl' => 60]), 'members with a device');
$chat->users()->deleteDevice('bob', 'phone');
same([], $chat->users()->devices('bob'), 'devices');
same(0, $chat->users()->disconnect('bob'), 'connections');
$at = $chat->users()->endTokens('bob');
same(401, $get($token), 'with a token that was ended');
same(200, $get($tokens->token('bob', ['issued_at' => $at])), 'with a new one');

// The names of GatewayClient.
Gateway::$client = $chat;
Gateway::joinGroup('carl', 'group');
Gateway::sendToGroup('group', 'to all');
same(1, Gateway::sendToUid('carl', 'to you')->seq, 'the first');
same(2, Gateway::sendToUid('carl', 'and again')->seq, 'the second');
same([['carl'], false], [array_column($chat->members()->list('uid.carl')['members'], 'user'), $chat->rooms()->get('uid.carl')['open']], 'the room of a uid');
same([[], 0], [Gateway::getUidListByGroup('group'), Gateway::getUidCountByGroup('group')], 'online');
Gateway::closeClient('carl');
Gateway::leaveGroup('carl', 'group');
same(0, $chat->members()->list('group')['count'], 'members');
Gateway::ungroup('group');
Gateway::ungroup('group');

same(231, $chat->users()->deleteMessages('ann'), 'deleted messages');
$chat->members()->remove($room, 'bob');
$chat->rooms()->delete($room);
$chat->rooms()->delete($room);

// Keys that may not, and servers that are none.
thrown(Exception\UnauthenticatedException::class, static function (): void {
    (new Client(getenv('URL'), 'rtk_nobody_nothing', ['timeout' => 60.0]))->rooms()->get('lobby');
});
thrown(Exception\ForbiddenException::class, static function (): void {
    (new Client(getenv('URL'), getenv('READ_KEY'), ['timeout' => 60.0]))->send('lobby', 'ann', 'x');
});
thrown(Exception\TransportException::class, static function (): void {
    (new Client(getenv('URL') . '/not/here', getenv('KEY')))->rooms()->get('lobby');
});
thrown(Exception\TransportException::class, static function (): void {
    (new Client('http://127.0.0.1:1', getenv('KEY')))->rooms()->get('lobby');
});

echo "ok\n";
