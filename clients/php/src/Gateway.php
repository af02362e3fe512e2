<?php

declare(strict_types=1);

namespace Roomtide;

use Roomtide\Exception\NotFoundException;

/**
 * The static names of Workerman's GatewayClient, for back ends that are written with them.
 * A group is a room. A uid is a user of your application, whom the token in the page names:
 * there are no client ids and no bindUid, and each function that took a client id takes the uid.
 *
 *     Gateway::$client = new Client('http://127.0.0.1:8080', $key);
 *     Gateway::joinGroup($uid, 'shop');
 *     Gateway::sendToGroup('shop', 'Hello');
 *
 * What is sent is stored, as everything in a room is, and arrives when the page is back too.
 */
final class Gateway
{
    /** Set it before anything else. */
    public static ?Client $client = null;

    /** The user in whose name messages are sent. */
    public static string $sender = 'system';

    /** sendToUid writes into a closed room of the user's own, which the page joins: this and the uid. */
    public static string $uidRoom = 'uid.';

    public static function sendToUid(string $uid, string $message): Sent
    {
        $room = self::$uidRoom . $uid;
        try {
            return self::client()->send($room, self::$sender, $message);
        } catch (NotFoundException $e) {
            self::client()->rooms()->put($room, ['open' => false]);
            self::client()->members()->put($room, $uid);

            return self::client()->send($room, self::$sender, $message);
        }
    }

    public static function sendToGroup(string $group, string $message): Sent
    {
        return self::client()->send($group, self::$sender, $message);
    }

    /** Puts a user into a group, which is made as a closed room if there is none. */
    public static function joinGroup(string $uid, string $group): void
    {
        try {
            self::client()->members()->put($group, $uid);
        } catch (NotFoundException $e) {
            self::client()->rooms()->put($group, ['open' => false]);
            self::client()->members()->put($group, $uid);
        }
    }

    public static function leaveGroup(string $uid, string $group): void
    {
        self::client()->members()->remove($group, $uid);
    }

    /** Deletes the group, with all its messages. */
    public static function ungroup(string $group): void
    {
        self::client()->rooms()->delete($group);
    }

    /** @return list<string> up to a thousand users of the group who are online */
    public static function getUidListByGroup(string $group): array
    {
        return self::client()->online($group, 1000)['online'];
    }

    /** How many users of the group are online. */
    public static function getUidCountByGroup(string $group): int
    {
        return self::client()->online($group, 1)['online_count'];
    }

    /** Ends all connections of a user; its page connects again, unless its token is ended too. */
    public static function closeClient(string $uid): void
    {
        self::client()->users()->disconnect($uid);
    }

    private static function client(): Client
    {
        if (self::$client === null) {
            throw new \LogicException('set Roomtide\Gateway::$client first');
        }

        return self::$client;
    }
}
