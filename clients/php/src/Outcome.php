<?php

declare(strict_types=1);

namespace Roomtide;

use Roomtide\Exception\RoomtideException;

/** What came of one message of a batch: exactly one of $sent and $error is set. */
final class Outcome
{
    /** The key of the message, also where the caller gave none. */
    public string $key;
    public ?Sent $sent;
    public ?RoomtideException $error;

    public function __construct(string $key, ?Sent $sent, ?RoomtideException $error)
    {
        $this->key = $key;
        $this->sent = $sent;
        $this->error = $error;
    }
}
