<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** A webhook whose signature or time does not hold: answer 400 and do nothing. */
final class WebhookException extends \RuntimeException implements RoomtideException
{
    public function isRetryable(): bool
    {
        return false;
    }
}
