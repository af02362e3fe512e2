<?php

declare(strict_types=1);

namespace Roomtide;

/** A change of a room that is stored: a message, an edit, a deletion, a reaction. */
final class Sent
{
    public string $room;
    /** The number of the message in its room: 1, 2, 3… without holes. */
    public int $seq;
    /** The number of the change in its room. */
    public int $rev;
    /** When the message was stored, as RFC 3339; empty for other changes. */
    public string $time;
    /** The idempotency key of the message; empty for other changes. */
    public string $key;
    /** The message had been sent before with this key; nothing was done now. */
    public bool $repeated;

    /** @param array<string, mixed> $answer */
    public function __construct(array $answer, string $key = '', bool $repeated = false)
    {
        $this->room = (string) ($answer['room'] ?? '');
        $this->seq = (int) ($answer['seq'] ?? 0);
        $this->rev = (int) ($answer['rev'] ?? 0);
        $this->time = (string) ($answer['time'] ?? '');
        $this->key = $key;
        $this->repeated = $repeated;
    }
}
