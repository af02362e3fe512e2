<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** Everything that this package throws, but for mistakes of the caller (\LogicException). */
interface RoomtideException extends \Throwable
{
    /** Whether the same call can succeed later as it is. */
    public function isRetryable(): bool;
}
