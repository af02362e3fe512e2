<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** Too often: see getRetryAfter(). */
final class RateLimitedException extends ApiException
{
}
