<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/** The server cannot write, for its disk is full, say. Reading works. */
final class ReadOnlyException extends ApiException
{
}
