<?php

declare(strict_types=1);

namespace Roomtide;

use Roomtide\Http\Api;

/** Users, whom Roomtide knows by the ids of your application: Client::users(). */
final class Users
{
    private Api $api;

    public function __construct(Api $api)
    {
        $this->api = $api;
    }

    /** @return array<string, mixed> what is known of the user; NotFoundException if nothing was ever said */
    public function get(string $user): array
    {
        return $this->api->call('GET', Api::path('users', $user));
    }

    /**
     * What is known of several users, by id; those of whom nothing was ever said are left out.
     *
     * @return array<string, array<string, mixed>>
     */
    public function find(string ...$users): array
    {
        $found = [];
        while ($users !== []) {
            $asked = array_splice($users, 0, 100);
            $answer = $this->api->call('GET', Api::path('users'), ['of' => $asked]);
            foreach ($answer['users'] as $user) {
                $found[$user['user']] = $user;
            }
            if (!empty($answer['more']) && $answer['users'] !== []) { // the answer was full
                $last = array_search(end($answer['users'])['user'], $asked, true);
                array_splice($users, 0, 0, array_slice($asked, (int) $last + 1));
            }
        }

        return $found;
    }

    /**
     * Says what a user is called in all rooms. What is not given stays as it is.
     *
     * @param array{name?: string, avatar?: string, data?: mixed} $fields
     *
     * @return array<string, mixed> the user as it is now
     */
    public function put(string $user, array $fields): array
    {
        return $this->api->call('PUT', Api::path('users', $user), [], $fields);
    }

    /**
     * Pushes a notification of yours to the devices of the user, as its settings allow. Returns
     * 1 if there is a device that will be told, else 0.
     *
     * @param array{title?: string, text?: string, data?: array<string, string>, collapse?: string, ttl?: int, room?: string} $fields
     *        collapse: a later one of the same name takes its place; ttl: seconds after which it is
     *        worthless; room: whose settings count
     */
    public function notify(string $user, array $fields): int
    {
        return (int) $this->api->call('POST', Api::path('users', $user, 'notifications'), [], $fields)['users'];
    }

    /**
     * Whether the user is connected anywhere ("online"), and looks ("foreground").
     *
     * @return array<string, mixed>
     */
    public function presence(string $user): array
    {
        return $this->api->call('GET', Api::path('users', $user, 'presence'));
    }

    /** @return list<array<string, mixed>> the devices of the user that take notifications */
    public function devices(string $user): array
    {
        return $this->api->call('GET', Api::path('users', $user, 'devices'))['devices'];
    }

    /**
     * Has a device of the user take notifications.
     *
     * @param string $language of what it is told beside the messages, such as "zh"; empty: that of the server
     * @param array<string, mixed> $address as the service of the provider ("fcm", "apns", "webpush") gives it to the device
     */
    public function putDevice(string $user, string $device, string $provider, array $address, string $language = ''): void
    {
        $this->api->call('PUT', Api::path('users', $user, 'devices', $device), [], ['provider' => $provider, 'address' => (object) $address, 'language' => $language]);
    }

    public function deleteDevice(string $user, string $device): void
    {
        $this->api->call('DELETE', Api::path('users', $user, 'devices', $device));
    }

    /**
     * Ends all connections of the user, whose tokens stay good: it may be back at once.
     * Returns how many there were.
     */
    public function disconnect(string $user): int
    {
        return (int) $this->api->call('DELETE', Api::path('users', $user, 'connections'))['closed'];
    }

    /**
     * Ends all tokens of the user that were made until now, and its connections. Returns from
     * when on tokens are good again, in Unix seconds: the issued_at of one that is made at once.
     */
    public function endTokens(string $user): int
    {
        return (int) $this->api->call('DELETE', Api::path('users', $user, 'tokens'))['not_before'];
    }

    /** Deletes all messages that the user has written, in all rooms. Returns how many. */
    public function deleteMessages(string $user): int
    {
        $deleted = 0;
        $after = null;
        do {
            $answer = $this->api->call('DELETE', Api::path('users', $user, 'messages'), ['after' => $after]);
            $deleted += $answer['deleted'];
            $after = $answer['next'] ?? null;
        } while ($answer['more']);

        return $deleted;
    }
}
