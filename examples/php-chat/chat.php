<?php

// What the pages share.

declare(strict_types=1);

const ROOM = 1;

function database(): PDO
{
    static $pdo;

    return $pdo ??= new PDO(
        getenv('CHAT_PDO') ?: 'mysql:host=127.0.0.1;dbname=chat;charset=utf8mb4',
        getenv('CHAT_USER') ?: 'chat',
        getenv('CHAT_PASSWORD') ?: '',
        [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC]
    );
}

/** The user who is logged in; null: nobody. This example believes every name. */
function user(): ?array
{
    if (session_status() !== PHP_SESSION_ACTIVE) {
        session_start(['cookie_httponly' => true, 'cookie_samesite' => 'Lax']);
    }
    if (isset($_POST['name']) && is_string($_POST['name']) && trim($_POST['name']) !== '') {
        $name = mb_substr(trim($_POST['name']), 0, 60);
        database()->prepare('INSERT IGNORE INTO users (name) VALUES (?)')->execute([$name]);
        $found = database()->prepare('SELECT id, name FROM users WHERE name = ?');
        $found->execute([$name]);
        session_regenerate_id(true);
        $_SESSION['user'] = $found->fetch();
    }

    return $_SESSION['user'] ?? null;
}

function login_form(): void
{
    echo '<!doctype html><meta charset="utf-8"><title>Chat</title><form method="post"><input name="name" placeholder="Your name" required> <button>Log in</button></form>';
}
