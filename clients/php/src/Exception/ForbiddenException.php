<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** The scopes of the API key, or the role of the user, do not allow it. */
final class ForbiddenException extends ApiException
{
}
