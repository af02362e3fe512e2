<?php

declare(strict_types=1);

namespace Roomtide\Http;

use Roomtide\Exception\TransportException;

/** Sends one HTTP request. It does not repeat it, and does not follow redirects. */
interface Transport
{
    /**
     * @param array<string, string> $headers
     * @param float $timeout seconds until there must be a whole answer
     *
     * @throws TransportException if there is none, whatever the reason
     */
    public function send(string $method, string $url, array $headers, ?string $body, float $timeout): Response;
}
