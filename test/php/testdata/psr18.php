<?php

// A PSR-18 client instead of curl: Guzzle, as the system has it.

declare(strict_types=1);

require 'GuzzleHttp/autoload.php'; // Debian has it in the include path
require __DIR__ . '/lib.php';

use GuzzleHttp\Psr7\HttpFactory;
use Roomtide\Client;
use Roomtide\Exception;
use Roomtide\Http\Psr18Transport;

$psr18 = static function (string $url): Client {
    $factory = new HttpFactory();

    return new Client($url, getenv('KEY'), ['timeout' => 60.0, 'transport' => new Psr18Transport(new GuzzleHttp\Client(['timeout' => 60]), $factory, $factory)]);
};
$chat = $psr18(getenv('URL'));
$chat->rooms()->put('psr/18');
same(1, $chat->send('psr/18', 'ann', 'Grüße', ['data' => ['x' => 1]])->seq, 'seq');
same('Grüße', $chat->history('psr/18')['messages'][0]['message'], 'the message');
thrown(Exception\NotFoundException::class, static function () use ($chat): void { // an answer, and no failure of the client
    $chat->rooms()->get('none');
});
thrown(Exception\TransportException::class, static function () use ($psr18): void {
    $psr18('http://127.0.0.1:1')->rooms()->get('psr/18');
});

echo "ok\n";
