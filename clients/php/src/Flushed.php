<?php

declare(strict_types=1);

namespace Roomtide;

use Roomtide\Exception\RoomtideException;

/** What a flush of the outbox has done. */
final class Flushed
{
    /** Messages that the server has stored. */
    public int $sent = 0;

    /** Messages that it has refused for good: see Outbox::failed(). */
    public int $failed = 0;

    /** Why others still wait in the table; null: none does, or the time was over. */
    public ?RoomtideException $error = null;
}
