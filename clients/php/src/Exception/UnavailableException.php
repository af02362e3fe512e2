<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** The server cannot do it right now: see getRetryAfter(). It may have been done all the same. */
final class UnavailableException extends ApiException
{
}
