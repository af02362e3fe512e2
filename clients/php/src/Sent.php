<?php

declare(strict_types=1);

namespace Roomtide;

/** A change of a room that is stored: a message, an edit, a deletion, a reaction; or a message that waits to be ($queued). */
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
    /** Where the message waits: the server has it and will decide it, so that it has no number yet; null: it is stored. Sending it again with its key tells what came of it. */
    public ?string $queued;
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
        $this->queued = isset($answer['queued']) ? (string) $answer['queued'] : null;
        $this->repeated = $repeated;
    }
}
