<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** There was no answer, or none of Roomtide: no connection, a time-out, a proxy's own page. */
final class TransportException extends \RuntimeException implements RoomtideException
{
    public function isRetryable(): bool
    {
        return true;
    }
}
