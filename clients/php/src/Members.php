<?php

declare(strict_types=1);

namespace Roomtide;

use Roomtide\Http\Api;

/** The members of rooms: Client::members(). */
final class Members
{
    private Api $api;

    public function __construct(Api $api)
    {
        $this->api = $api;
    }

    /**
     * Puts a user into a room, or changes what is given of the membership.
     *
     * @param array{role?: string, until?: string, name?: string, data?: mixed} $fields
     *        role: member, moderator, owner, muted or banned; until: when a ban or a mute ends,
     *        as RFC 3339; name: in this room alone
     */
    public function put(string $room, string $user, array $fields = []): void
    {
        $this->api->call('PUT', Api::path('rooms', $room, 'members', $user), [], $fields);
    }

    /** Puts a user out. A token that names the room lets it in again: ban() does not. */
    public function remove(string $room, string $user): void
    {
        $this->api->call('DELETE', Api::path('rooms', $room, 'members', $user));
    }

    /** Puts a user out and keeps it out, for ever or until a time. */
    public function ban(string $room, string $user, ?\DateTimeInterface $until = null): void
    {
        $this->put($room, $user, ['role' => 'banned'] + self::until($until));
    }

    /** Ends a ban; the user is not in the room then. */
    public function unban(string $room, string $user): void
    {
        $this->put($room, $user, ['role' => 'none', 'unban' => true]);
    }

    /** Lets a member read and not write, for ever or until a time. Its role "member" ends that. */
    public function mute(string $room, string $user, ?\DateTimeInterface $until = null): void
    {
        $this->put($room, $user, ['role' => 'muted'] + self::until($until));
    }

    /**
     * A page of members in the order of their ids. While there is more, ask again with after =
     * the last user.
     *
     * @param array{after?: string, role?: string, limit?: int} $options
     *
     * @return array{room: string, members: list<array<string, mixed>>, count: int, more: bool}
     */
    public function list(string $room, array $options = []): array
    {
        return $this->api->call('GET', Api::path('rooms', $room, 'members'), $options);
    }

    /** @return array<string, string> */
    private static function until(?\DateTimeInterface $time): array
    {
        return $time === null ? [] : ['until' => $time->format(\DateTimeInterface::RFC3339)];
    }
}
