<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** A key was used for another message, or what exists does not go with the request. */
final class ConflictException extends ApiException
{
}
