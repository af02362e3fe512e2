<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** More bytes or characters than the server takes. */
final class TooLargeException extends ApiException
{
}
