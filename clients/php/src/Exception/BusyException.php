<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** The server has too much to do right now: see getRetryAfter(). */
final class BusyException extends ApiException
{
}
