<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** The API key is wrong, revoked or missing. */
final class UnauthenticatedException extends ApiException
{
}
