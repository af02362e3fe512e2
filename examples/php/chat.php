<?php

// What the pages of this example share. The keys are beside this file, not below public/.

declare(strict_types=1);

use Roomtide\Client;
use Roomtide\Outbox;
use Roomtide\Tokens;

require __DIR__ . '/vendor/autoload.php';

const ROOM = 'shop';

function chat_url(): string
{
    return getenv('ROOMTIDE_URL') ?: 'http://127.0.0.1:8080';
}

function chat(): Client
{
    static $client;

    return $client ??= new Client(chat_url(), trim((string) file_get_contents(__DIR__ . '/api.key')), [
        'timeout' => (float) (getenv('ROOMTIDE_TIMEOUT') ?: 3),
    ]);
}

function tokens(): Tokens
{
    return Tokens::fromFile(__DIR__ . '/token.key');
}

/** The database of the shop, with its orders and the outbox. */
function database(): PDO
{
    static $pdo;

    return $pdo ??= new PDO('sqlite:' . __DIR__ . '/shop.db', null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}

function outbox(): Outbox
{
    return new Outbox(chat(), database());
}

/** The user who is logged in, as your site knows it; null: nobody. */
function user(): ?string
{
    if (session_status() !== PHP_SESSION_ACTIVE) {
        session_start(['cookie_httponly' => true, 'cookie_samesite' => 'Lax']);
    }

    return $_SESSION['user'] ?? null;
}
