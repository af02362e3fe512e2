<?php

declare(strict_types=1);

namespace Roomtide\Http;

/** The answer to an HTTP request. */
final class Response
{
    public int $status;
    public string $body;

    public function __construct(int $status, string $body)
    {
        $this->status = $status;
        $this->body = $body;
    }
}
