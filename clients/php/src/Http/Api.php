<?php

declare(strict_types=1);

namespace Roomtide\Http;

use Roomtide\Exception\ApiException;
use Roomtide\Exception\InvalidException;
use Roomtide\Exception\RoomtideException;
use Roomtide\Exception\TransportException;

/**
 * Calls of /v1: JSON there and back, errors as exceptions, and repeats.
 *
 * Every call is safe to repeat: what is not idempotent by itself has a key. So what fails
 * in a way that may pass (no connection, a proxy without a server behind it, busy) is
 * tried again, after a random time or the one that the server names, as long as there
 * is time left. A call takes no longer than the time-out, whatever happens.
 */
final class Api
{
    private const FLAGS = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR;

    /** Codes that pass within seconds. read_only is not one: a disk stays full for longer. */
    private const PASSING = ['rate_limited', 'busy', 'unavailable'];

    /** Seconds before the first repeat, at most; twice as long before each further one. */
    private const WAIT = 0.1;

    private Transport $transport;
    private string $url;
    private string $key;
    private float $timeout;
    private int $tries;

    public function __construct(
        Transport $transport,
        string $url,
        #[\SensitiveParameter]
        string $key,
        float $timeout,
        int $tries
    ) {
        $this->transport = $transport;
        $this->url = rtrim($url, '/');
        $this->key = $key;
        $this->timeout = $timeout;
        $this->tries = max(1, $tries);
    }

    /** @return array<string, mixed> without the API key, for var_dump */
    public function __debugInfo(): array
    {
        return ['url' => $this->url, 'timeout' => $this->timeout, 'tries' => $this->tries];
    }

    /**
     * @param array<string, mixed> $query parameters that are null are left out
     * @param array<string, mixed>|null $body fields; null: no body
     * @param array<string, string> $headers
     *
     * @return array<string, mixed> the answer, empty for one without a body
     *
     * @throws RoomtideException
     */
    public function call(string $method, string $path, array $query = [], ?array $body = null, array $headers = []): array
    {
        return $this->request($method, $path, $query, $body, $headers)[1];
    }

    /**
     * call, with the status.
     *
     * @param array<string, mixed> $query
     * @param array<string, mixed>|null $body
     * @param array<string, string> $headers
     *
     * @return array{0: int, 1: array<string, mixed>}
     */
    public function request(string $method, string $path, array $query = [], ?array $body = null, array $headers = []): array
    {
        $headers += ['Authorization' => 'Bearer ' . $this->key, 'Accept' => 'application/json', 'User-Agent' => 'roomtide-php'];
        $json = null;
        if ($body !== null) {
            $json = self::encode((object) $body);
            $headers['Content-Type'] = 'application/json';
        }
        $url = $this->url . $path . self::query($query);
        $end = self::now() + $this->timeout;
        for ($try = 1;; $try++) {
            try {
                return $this->once($method, $url, $headers, $json, max(0.001, $end - self::now()));
            } catch (RoomtideException $e) {
                $wait = $this->wait($e, $try);
                if ($wait === null || self::now() + $wait >= $end) {
                    throw $e;
                }
                usleep((int) ($wait * 1e6));
            }
        }
    }

    /** The path of {room}, {user}… in which each part is one segment. */
    public static function path(string ...$segments): string
    {
        $path = '/v1';
        foreach ($segments as $segment) {
            if ($segment === '') {
                throw new InvalidException('invalid', 'a room, a user or an emoji is empty', 400);
            }
            $path .= '/' . rawurlencode($segment);
        }

        return $path;
    }

    /** @return array<string, string> the header that names the user a call is made for; null: none */
    public static function as(?string $user): array
    {
        return $user === null ? [] : ['Roomtide-User' => rawurlencode($user)];
    }

    /** @param mixed $value */
    public static function encode($value): string
    {
        try {
            return json_encode($value, self::FLAGS);
        } catch (\JsonException $e) {
            throw new InvalidException('invalid', 'this is no JSON: ' . $e->getMessage() . ' (texts must be UTF-8)', 400);
        }
    }

    /** Seconds to wait before the next try; null: there is none. */
    private function wait(RoomtideException $e, int $try): ?float
    {
        if ($try >= $this->tries) {
            return null;
        }
        $wait = self::WAIT * (2 ** ($try - 1)) * mt_rand() / mt_getrandmax();
        if ($e instanceof ApiException) {
            return in_array($e->getErrorCode(), self::PASSING, true) ? $e->getRetryAfter() / 1000 + $wait : null;
        }

        return $e->isRetryable() ? $wait : null;
    }

    /**
     * @param array<string, string> $headers
     *
     * @return array{0: int, 1: array<string, mixed>}
     */
    private function once(string $method, string $url, array $headers, ?string $json, float $timeout): array
    {
        $response = $this->transport->send($method, $url, $headers, $json, $timeout);
        $answer = json_decode($response->body, true);
        $good = $response->status >= 200 && $response->status < 300;
        if ($good && $response->body === '') {
            return [$response->status, []];
        }
        if ($good && is_array($answer)) {
            return [$response->status, $answer];
        }
        if (is_array($answer) && isset($answer['code'])) {
            throw ApiException::fromProblem($answer, $response->status);
        }
        throw new TransportException('the answer with status ' . $response->status . ' is not one of a Roomtide server: is the address right?', $response->status);
    }

    /** @param array<string, mixed> $query */
    private static function query(array $query): string
    {
        $parts = [];
        foreach ($query as $name => $value) {
            if (is_bool($value)) {
                $value = $value ? 'true' : 'false';
            }
            foreach ($value === null ? [] : (array) $value as $one) {
                $parts[] = rawurlencode($name) . '=' . rawurlencode((string) $one);
            }
        }

        return $parts === [] ? '' : '?' . implode('&', $parts);
    }

    private static function now(): float
    {
        return hrtime(true) / 1e9;
    }
}
