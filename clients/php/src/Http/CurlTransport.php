<?php

declare(strict_types=1);

namespace Roomtide\Http;

use Roomtide\Exception\TransportException;

/**
 * ext-curl. One handle keeps its connection open for the next request of the process: in
 * php-fpm for the rest of the page, in a worker for as long as it runs.
 */
final class CurlTransport implements Transport
{
    private float $connectTimeout;

    /** @var resource|\CurlHandle|null */
    private $handle = null;
    private int $pid = 0;

    public function __construct(float $connectTimeout = 1.0)
    {
        $this->connectTimeout = $connectTimeout;
    }

    public function send(string $method, string $url, array $headers, ?string $body, float $timeout): Response
    {
        $lines = ['Expect:'];
        foreach ($headers as $name => $value) {
            $lines[] = $name . ': ' . $value;
        }
        $handle = $this->handle();
        curl_reset($handle); // keeps the connection
        curl_setopt_array($handle, [
            CURLOPT_URL => $url,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => $lines,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
            CURLOPT_NOSIGNAL => true, // without it time-outs below a second do not work
            CURLOPT_TCP_KEEPALIVE => 1,
            CURLOPT_CONNECTTIMEOUT_MS => self::milliseconds(min($this->connectTimeout, $timeout)),
            CURLOPT_TIMEOUT_MS => self::milliseconds($timeout),
        ]);
        if ($body !== null) {
            curl_setopt($handle, CURLOPT_POSTFIELDS, $body);
        }
        $answer = curl_exec($handle);
        if (!is_string($answer)) {
            throw new TransportException('no answer from the Roomtide server: ' . curl_error($handle), curl_errno($handle));
        }

        return new Response((int) curl_getinfo($handle, CURLINFO_RESPONSE_CODE), $answer);
    }

    /**
     * The handle of this process: two processes on one connection would read each other's
     * answers after a fork.
     *
     * @return resource|\CurlHandle
     */
    private function handle()
    {
        if ($this->handle === null || $this->pid !== getmypid()) {
            $handle = curl_init();
            if ($handle === false) {
                throw new TransportException('curl_init has failed');
            }
            $this->handle = $handle;
            $this->pid = (int) getmypid();
        }

        return $this->handle;
    }

    private static function milliseconds(float $seconds): int
    {
        return max(1, (int) ($seconds * 1000)); // 0 would be no limit
    }
}
