<?php

// What needs no server: repeats, errors, batches, the outbox, tokens, webhooks, keys. Runs
// in PHP 7.4 too.

declare(strict_types=1);

require __DIR__ . '/lib.php';

use Roomtide\Client;
use Roomtide\Exception;
use Roomtide\Exception\TransportException;
use Roomtide\Key;
use Roomtide\Tokens;
use Roomtide\Webhook;

$sent = answer(201, ['room' => 'a/b', 'seq' => 1, 'rev' => 2, 'time' => '2026-01-02T03:04:05.678Z']);
$with = static function (FakeTransport $t, array $options = []): Client {
    return new Client('http://chat.example.org/chat/', 'rtk_secret', $options + ['transport' => $t]);
};

// A request as the server wants it.
$t = new FakeTransport($sent);
$s = $with($t)->send('a/b', 'ann', 'ä', ['data' => ['x' => 1.0], 'key' => 'k']);
same(['a/b', 1, 2, 'k', false], [$s->room, $s->seq, $s->rev, $s->key, $s->repeated], 'sent');
$r = $t->asked[0];
same('POST http://chat.example.org/chat/v1/rooms/a%2Fb/messages', $r['method'] . ' ' . $r['url'], 'the request');
same('{"user":"ann","message":"ä","data":{"x":1.0}}', $r['body'], 'the body');
same(['k', 'Bearer rtk_secret', 'application/json'], [$r['headers']['Idempotency-Key'], $r['headers']['Authorization'], $r['headers']['Content-Type']], 'headers');
same('{}', (function () use ($with, $sent) {
    $t = new FakeTransport($sent);
    $with($t)->members()->put('a', 'ann');
    return $t->asked[0]['body'];
})(), 'no fields');

// What passes is tried again, with the same key, three times at most.
foreach ([new TransportException('refused'), problem(503, 'busy', 1), problem(503, 'unavailable'), problem(429, 'rate_limited', 2), new Roomtide\Http\Response(502, '<html>')] as $failure) {
    $t = new FakeTransport($failure, $failure, answer(200, ['room' => 'r', 'seq' => 7, 'rev' => 9]));
    $s = $with($t, ['timeout' => 60.0])->send('r', 'ann', 'x');
    same([7, true, 3], [$s->seq, $s->repeated, count($t->asked)], 'after two failures');
    same(1, count(array_unique(array_map(static function (array $r): string {
        return $r['headers']['Idempotency-Key'];
    }, $t->asked))), 'keys');
    $t = new FakeTransport($failure);
    thrown(Exception\RoomtideException::class, static function () use ($with, $t): void {
        $with($t, ['timeout' => 60.0])->send('r', 'ann', 'x');
    });
    same(3, count($t->asked), 'tries');
}

// What does not pass is not, and neither is what would take too long.
foreach ([
    [400, 'invalid', Exception\InvalidException::class], [401, 'unauthenticated', Exception\UnauthenticatedException::class],
    [403, 'forbidden', Exception\ForbiddenException::class], [403, 'not_member', Exception\NotMemberException::class],
    [404, 'not_found', Exception\NotFoundException::class], [409, 'conflict', Exception\ConflictException::class],
    [413, 'too_large', Exception\TooLargeException::class], [507, 'read_only', Exception\ReadOnlyException::class],
    [429, 'rate_limited', Exception\RateLimitedException::class], [503, 'busy', Exception\BusyException::class],
    [503, 'unavailable', Exception\UnavailableException::class], [500, 'internal', Exception\ApiException::class],
    [418, 'later', Exception\ApiException::class],
] as [$status, $code, $class]) {
    $t = new FakeTransport(problem($status, $code, 60000));
    $e = thrown(Exception\ApiException::class, static function () use ($with, $t): void {
        $with($t)->rooms()->get('r');
    });
    same([$class, $code, $status, 60000, 1], [get_class($e), $e->getErrorCode(), $e->getCode(), $e->getRetryAfter(), count($t->asked)], $code);
    same(in_array($status, [429, 503, 507], true), $e->isRetryable(), "$code is retryable");
}

// A call ends with its time-out, and each try gets what is left of it.
$n = 0;
do { // a machine that stops for the whole time leaves none for a second try
    $t = new FakeTransport(new TransportException('refused'));
    thrown(TransportException::class, static function () use ($with, $t): void {
        $with($t, ['timeout' => 0.3, 'tries' => 1000])->rooms()->get('r');
    });
} while (count($t->asked) < 2 && ++$n < 50);
that(count($t->asked) > 1 && $t->asked[1]['timeout'] < $t->asked[0]['timeout'], 'the rest of the time');

// Texts that are not UTF-8 are refused before anything is sent.
$t = new FakeTransport($sent);
thrown(Exception\InvalidException::class, static function () use ($with, $t): void {
    $with($t)->send('r', 'ann', "\xe9");
});
thrown(Exception\InvalidException::class, static function () use ($with, $t): void {
    $with($t)->rooms()->get('');
});
same(0, count($t->asked), 'requests');
thrown(InvalidArgumentException::class, static function () use ($with, $t): void {
    $with($t, ['time_out' => 1]);
});

// Batches are cut by number and by bytes, keep the caller's indexes, and are halved for a
// server that takes less.
$t = new FakeTransport(answer(200, ['results' => array_fill(0, 100, ['status' => 201, 'sent' => ['room' => 'r', 'seq' => 1, 'rev' => 1]])]));
$messages = [];
for ($i = 0; $i < 250; $i++) {
    $messages["m$i"] = ['room' => 'r', 'user' => 'ann', 'message' => "m$i"];
}
$messages['m7']['message'] = "\xe9";
$outcomes = $with($t)->sendBatch($messages);
same([3, 250, 'm0', 'm249'], [count($t->asked), count($outcomes), key($outcomes), array_keys($outcomes)[249]], 'a batch of 250');
that($outcomes['m7']->error instanceof Exception\InvalidException && $outcomes['m8']->sent !== null, 'one that is no UTF-8');
$t = new FakeTransport(problem(413, 'too_large'));
$outcomes = $with($t)->sendBatch([['room' => 'r', 'message' => str_repeat('x', 59000)], ['room' => 'r', 'message' => str_repeat('y', 59000)], ['room' => 'r', 'message' => 'z']]);
same(4, count($t->asked), 'one alone, then two, then each of these alone'); // 59000 | 59000+z -> halves
that($outcomes[2]->error instanceof Exception\TooLargeException, 'too large');
$t = new FakeTransport(problem(401, 'unauthenticated'));
foreach ($with($t)->sendBatch([['room' => 'r', 'message' => 'x', 'key' => 'mine'], ['room' => 'r', 'message' => 'y']]) as $outcome) {
    that($outcome->error instanceof Exception\UnauthenticatedException && $outcome->sent === null && $outcome->key !== '', 'all of them');
}
same([], $with($t)->sendBatch([]), 'none');

// Secrets are not shown.
ob_start();
var_dump(new Client('http://x', 'rtk_secret'), new Tokens(str_repeat('geheim.', 5)), new Webhook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'));
$dump = (string) ob_get_clean();
foreach (['rtk_secret', 'geheim', 'MfKQ9'] as $secret) {
    that(strpos($dump, $secret) === false, 'no secret in var_dump');
}

// Keys are UUIDs of version 7, in the order of time.
$keys = [];
for ($i = 0; $i < 100; $i++) {
    $keys[] = Key::generate();
    that((bool) preg_match('/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/', $keys[$i]), 'a UUID of version 7');
}
same(100, count(array_unique($keys)), 'different keys');
that(abs(hexdec(substr(str_replace('-', '', $keys[0]), 0, 12)) / 1000 - time()) < 60, 'its time');

// The outbox, before a server one of whose databases is down: the rooms in it keep their
// order and wait, and all others go on.
$server = new class () implements Roomtide\Http\Transport {
    public string $down = 'down';
    /** @var list<string> */
    public array $stored = [];

    public function send(string $method, string $url, array $headers, ?string $body, float $timeout): Roomtide\Http\Response
    {
        $results = [];
        foreach (json_decode((string) $body, true)['messages'] as $m) {
            if ($m['room'] === $this->down) {
                $results[] = ['status' => 503, 'problem' => ['code' => 'unavailable', 'detail' => '', 'retry_after' => 1000]];
                continue;
            }
            $this->stored[] = $m['message'];
            $results[] = ['status' => 201, 'sent' => ['room' => $m['room'], 'seq' => 1, 'rev' => 1]];
        }

        return answer(200, ['results' => $results]);
    }
};
$outbox = new Roomtide\Outbox(new Client('http://chat.example.org', 'k', ['transport' => $server]), new PDO('sqlite::memory:'), 'other_name');
$outbox->install();
$up = $down = [];
for ($i = 0; $i < 250; $i++) {
    $outbox->enqueue($i < 150 || $i % 2 ? 'down' : 'up', 'ann', "$i");
    $i < 150 || $i % 2 ? $down[] = "$i" : $up[] = "$i";
}
$result = $outbox->flush();
same([50, 0, 200, 'unavailable'], [$result->sent, $result->failed, $outbox->waiting(), $result->error->getErrorCode()], 'with a database down');
same($up, $server->stored, 'what was stored');
$server->down = '';
same([200, null], [$outbox->flush()->sent, $outbox->flush()->error], 'when it is back');
same(array_merge($up, $down), $server->stored, 'what was stored');

// The claims of a token.
$tokens = new Tokens(str_repeat('s', 32), ['kid' => 'k1', 'issuer' => 'shop', 'audience' => 'chat']);
$token = $tokens->token('4711', ['name' => 'Jürgen/"J"', 'rooms' => [7, 'shop'], 'ttl' => 60]);
$part = static function (string $token, int $i): array {
    return json_decode((string) base64_decode(strtr(explode('.', $token)[$i], '-_', '+/')), true);
};
same(['alg' => 'HS256', 'typ' => 'JWT', 'kid' => 'k1'], $part($token, 0), 'the header');
$claims = $part($token, 1);
same(['4711', ['7', 'shop'], 'Jürgen/"J"', 'shop', 'chat', 60], [$claims['sub'], $claims['rooms'], $claims['name'], $claims['iss'], $claims['aud'], $claims['exp'] - $claims['iat']], 'claims');
that(!isset($part($tokens->token('a'), 1)['name']), 'no name unless given'); // it would take away the one of the profile
$later = time() + 1000;
same($later, $part($tokens->token('a', ['issued_at' => $later]), 1)['iat'], 'iat');
foreach ([['a', ['ttl' => 0]], ['', []], ['a', ['room' => 'x']]] as [$user, $options]) {
    thrown(InvalidArgumentException::class, static function () use ($tokens, $user, $options): void {
        $tokens->token($user, $options);
    });
}
thrown(InvalidArgumentException::class, static function (): void {
    new Tokens('short');
});
thrown(RuntimeException::class, static function (): void {
    Tokens::fromFile('/nowhere/token.key');
});

// Webhooks: the vector of Standard Webhooks, and what it must not be mistaken for.
$webhook = new Webhook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
$body = '{"test": 2432232314}';
$headers = ['Webhook-Id' => 'msg_p5jXN8AQM9LWM0D4loKWxJek', 'webhook-timestamp' => '1614265330', 'webhook-signature' => 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='];
same(['test' => 2432232314], $webhook->verify($headers, $body, 1614265330), 'the event');
same(['test' => 2432232314], $webhook->verify(['webhook-signature' => ['v1,bm8=', 'v1a,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=']] + $headers, $body, 1614265630), 'one of several');
foreach ([
    [$headers, $body, 1614265330 + 301], [$headers, $body, 1614265330 - 301], [$headers, $body . ' ', 1614265330],
    [['webhook-signature' => 'v1,bm8='] + $headers, $body, 1614265330], [['webhook-signature' => 'v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='] + $headers, $body, 1614265330],
    [['webhook-signature' => ''] + $headers, $body, 1614265330], [['webhook-timestamp' => '1614265330.0'] + $headers, $body, 1614265330],
    [array_slice($headers, 0, 2), $body, 1614265330], [['Webhook-Id' => 'other'] + $headers, $body, 1614265330],
] as $i => [$h, $b, $now]) {
    thrown(Exception\WebhookException::class, static function () use ($webhook, $h, $b, $now): void {
        $webhook->verify($h, $b, $now);
    });
}
thrown(InvalidArgumentException::class, static function (): void {
    new Webhook('whsec_***');
});

echo "ok\n";
