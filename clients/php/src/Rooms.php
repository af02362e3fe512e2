<?php

declare(strict_types=1);

namespace Roomtide;

use Roomtide\Exception\NotFoundException;
use Roomtide\Http\Api;

/** Rooms: Client::rooms(). */
final class Rooms
{
    private Api $api;

    public function __construct(Api $api)
    {
        $this->api = $api;
    }

    /** @return array<string, mixed> the room; NotFoundException if there is none */
    public function get(string $room): array
    {
        return $this->api->call('GET', Api::path('rooms', $room));
    }

    /**
     * Makes a room, or changes what is given of one that exists.
     *
     * @param array{title?: string, topic?: string, avatar?: string, data?: mixed, open?: bool, read_only?: bool, archived?: bool} $fields
     *
     * @return array<string, mixed> the room as it is now
     */
    public function put(string $room, array $fields = []): array
    {
        return $this->api->call('PUT', Api::path('rooms', $room), [], $fields);
    }

    /**
     * Pushes a notification of yours to the devices of all members. Returns how many users have
     * one that will be told.
     *
     * @param array{title?: string, text?: string, data?: array<string, string>, collapse?: string, ttl?: int} $fields
     */
    public function notify(string $room, array $fields): int
    {
        return (int) $this->api->call('POST', Api::path('rooms', $room, 'notifications'), [], $fields)['users'];
    }

    /** Deletes a room with everything in it. One that does not exist is no error. */
    public function delete(string $room): void
    {
        try {
            $this->api->call('DELETE', Api::path('rooms', $room));
        } catch (NotFoundException $e) {
            return; // also the answer to a repeat
        }
    }

    /**
     * A page of all rooms, or of those the user is a member of. While there is more, ask
     * again with after = next.
     *
     * @param array{user?: string, after?: string, limit?: int, order?: string, archived?: bool, prefix?: string, open?: bool} $options
     *
     * @return array{rooms: list<array<string, mixed>>, more: bool, next?: string}
     */
    public function list(array $options = []): array
    {
        $as = Api::as($options['user'] ?? null);
        unset($options['user']);

        return $this->api->call('GET', Api::path('rooms'), $options, null, $as);
    }
}
