<?php

declare(strict_types=1);

namespace Roomtide;

/**
 * Tells "roomtide adopt run --touch" which rows a page of the old chat has just written, so
 * that they are read at once. It is a hint: a row that is not named is found a little
 * later. So nothing here throws, and nothing takes longer than the time-out.
 */
final class Touch
{
    private string $url;
    private string $socket;
    private int $timeout;

    /**
     * @param string $address as for --touch: 127.0.0.1:8081 or unix:/run/roomtide/touch.sock
     * @param float $timeout seconds that a call takes at most
     */
    public function __construct(string $address, float $timeout = 0.2)
    {
        $unix = strncmp($address, 'unix:', 5) === 0;
        $this->socket = $unix ? substr($address, 5) : '';
        $this->url = $unix ? 'http://localhost/' : 'http://' . $address . '/';
        $this->timeout = max(1, (int) ($timeout * 1000));
    }

    /**
     * Names rows, after the transaction that wrote them has committed.
     *
     * @param int|string ...$keys of the table of messages
     *
     * @return bool whether they were taken; false is no reason to do anything
     */
    public function rows(...$keys): bool
    {
        $body = json_encode(['keys' => array_map('strval', $keys)]);
        $curl = curl_init($this->url);
        if ($body === false || $curl === false) {
            return false;
        }
        curl_setopt_array($curl, [
            CURLOPT_POSTFIELDS => $body,
            CURLOPT_HTTPHEADER => ['Content-Type: application/json', 'Expect:'],
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT_MS => $this->timeout,
            CURLOPT_NOSIGNAL => true,
            CURLOPT_PROXY => '',
        ] + ($this->socket === '' ? [] : [CURLOPT_UNIX_SOCKET_PATH => $this->socket]));
        curl_exec($curl);

        return curl_getinfo($curl, CURLINFO_RESPONSE_CODE) === 204;
    }
}
