<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** The request makes no sense: an empty message, an id with white space at its ends. */
final class InvalidException extends ApiException
{
}
