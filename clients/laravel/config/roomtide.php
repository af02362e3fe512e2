<?php

return [
    // The server, as this application reaches it.
    'url' => env('ROOMTIDE_URL', 'http://127.0.0.1:8080'),

    // An API key: roomtide key add "my application" --scope send,read,rooms,users
    'key' => env('ROOMTIDE_KEY', ''),

    // A copy of the server's token.key, which signs the tokens of pages.
    'token_key' => env('ROOMTIDE_TOKEN_KEY', ''),

    // Seconds that a call takes at most, repeats included.
    'timeout' => (float) env('ROOMTIDE_TIMEOUT', 3),

    // The table of the outbox, and the connection of config/database.php that has it; null: the default.
    'outbox' => ['table' => 'chat_outbox', 'connection' => null],
];
