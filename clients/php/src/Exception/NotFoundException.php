<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** There is no such room, message or user. */
final class NotFoundException extends ApiException
{
}
