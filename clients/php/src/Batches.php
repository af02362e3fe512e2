<?php

declare(strict_types=1);

namespace Roomtide;

use Roomtide\Exception\ApiException;
use Roomtide\Exception\RoomtideException;
use Roomtide\Exception\TooLargeException;
use Roomtide\Http\Api;

/**
 * Messages in as few requests as the server takes them in.
 *
 * @internal Client::sendBatch
 */
final class Batches
{
    /** Messages of one request: what the server takes. */
    private const MESSAGES = 100;

    /** Bytes of one request: below what a server takes unless configured, 64 KiB. */
    private const BYTES = 60000;

    private Api $api;

    public function __construct(Api $api)
    {
        $this->api = $api;
    }

    /**
     * @param iterable<array<string, mixed>> $messages
     *
     * @return array<Outcome> under the keys of $messages
     */
    public function send(iterable $messages): array
    {
        $outcomes = [];
        $batch = [];
        $bytes = 0;
        foreach ($messages as $index => $message) {
            $message['key'] = (string) ($message['key'] ?? Key::generate());
            $outcomes[$index] = null; // keeps its place
            try {
                $size = strlen(Api::encode($message));
            } catch (RoomtideException $e) {
                $outcomes[$index] = new Outcome($message['key'], null, $e);
                continue;
            }
            if ($batch !== [] && (count($batch) === self::MESSAGES || $bytes + $size > self::BYTES)) {
                $outcomes = array_replace($outcomes, $this->one($batch));
                $batch = [];
                $bytes = 0;
            }
            $batch[$index] = $message;
            $bytes += $size + 1;
        }

        return $batch === [] ? $outcomes : array_replace($outcomes, $this->one($batch));
    }

    /**
     * One request. If it fails as a whole, so does every message in it; one that is too large
     * for a server with a smaller limit is sent in halves.
     *
     * @param array<array<string, mixed>> $batch
     *
     * @return array<Outcome>
     */
    private function one(array $batch): array
    {
        try {
            $answer = $this->api->call('POST', '/v1/messages', [], ['messages' => array_values($batch)]);
        } catch (TooLargeException $e) {
            if (count($batch) === 1) {
                return self::failed($batch, $e);
            }
            [$first, $second] = array_chunk($batch, intdiv(count($batch) + 1, 2), true);

            return $this->one($first) + $this->one($second);
        } catch (RoomtideException $e) {
            return self::failed($batch, $e);
        }
        $outcomes = [];
        $results = (array) ($answer['results'] ?? []);
        foreach ($batch as $index => $message) {
            $outcomes[$index] = self::outcome($message['key'], (array) array_shift($results));
        }

        return $outcomes;
    }

    /** @param array<string, mixed> $result */
    private static function outcome(string $key, array $result): Outcome
    {
        $status = (int) ($result['status'] ?? 0);
        if (isset($result['sent'])) {
            return new Outcome($key, new Sent($result['sent'], $key, $status === 200), null);
        }
        if (isset($result['accepted'])) {
            return new Outcome($key, new Sent($result['accepted'], $key), null);
        }

        return new Outcome($key, null, ApiException::fromProblem((array) ($result['problem'] ?? []), $status));
    }

    /**
     * @param array<array<string, mixed>> $batch
     *
     * @return array<Outcome>
     */
    private static function failed(array $batch, RoomtideException $e): array
    {
        return array_map(static function (array $message) use ($e): Outcome {
            return new Outcome($message['key'], null, $e);
        }, $batch);
    }
}
