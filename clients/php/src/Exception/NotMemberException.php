<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** The user is not in the room, or there is no such room. */
final class NotMemberException extends ApiException
{
}
