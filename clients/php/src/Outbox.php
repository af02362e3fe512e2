<?php

declare(strict_types=1);

namespace Roomtide;

use Roomtide\Exception\ApiException;
use Roomtide\Exception\RoomtideException;

/**
 * A table of your own database from which messages are sent once the transaction that wrote
 * them has committed: a message is in the chat if, and only if, your order is in the shop.
 *
 *     $pdo->beginTransaction();
 *     …                                                   // what your application does
 *     $outbox->enqueue('shop', 'system', 'Order 4711 has left.');
 *     $pdo->commit();
 *     $outbox->flush();                                   // and by cron, once a minute
 *
 * Each message is stored in its room exactly once: it has its key from the start, and its row
 * is deleted when the server has acknowledged it. Messages go in the order of their ids, by
 * one process at a time. MySQL and MariaDB (InnoDB), PostgreSQL and SQLite.
 */
final class Outbox
{
    private const PAGE = 100;

    /** Seconds until another process takes over from one that has died. */
    private const LEASE = 60;

    private Client $client;
    private OutboxTable $table;

    /** @param string $name of the table; $name_flush is a second one, with one row */
    public function __construct(Client $client, \PDO $pdo, string $name = 'chat_outbox')
    {
        $this->client = $client;
        $this->table = new OutboxTable($pdo, $name);
    }

    /** Makes the tables, unless they are there. Its SQL is in resources/outbox, for migrations. */
    public function install(): void
    {
        $this->table->install();
    }

    /**
     * Writes a message into the table, as a part of the transaction that $pdo is in. It does
     * not talk to the server.
     *
     * @param array{key?: string, data?: mixed, reply_to?: int, mentions?: list<string>, name?: string} $options as those of Client::send
     *
     * @return string the key of the message
     */
    public function enqueue(string $room, string $user, string $text, array $options = []): string
    {
        $message = ['room' => $room, 'user' => $user, 'message' => $text] + $options;
        $message['key'] = (string) ($message['key'] ?? Key::generate());
        $this->table->insert($message);

        return $message['key'];
    }

    /**
     * Sends what is in the table, until it is empty or the time is over. If another process is
     * at it, it returns at once: that one sends these messages too. What the server refuses for
     * good stays in the table with the reason; what cannot be sent now is tried with the next
     * flush. It throws for the database alone.
     *
     * @param float $seconds how long it may take, about
     */
    public function flush(float $seconds = 5.0): Flushed
    {
        $this->table->requireNoTransaction();
        $end = hrtime(true) / 1e9 + $seconds;
        $result = new Flushed();
        do {
            $held = $this->table->acquire(self::LEASE);
            if ($held === '') {
                break;
            }
            try {
                $blocked = [];
                for ($id = 0; $this->page($result, $id, $blocked) && hrtime(true) / 1e9 < $end;) {
                    $held = $this->table->acquire(self::LEASE, $held);
                }
            } finally {
                $this->table->release($held);
            }
            // What was committed while this process held the right, by one that did not get
            // it, is seen now at the latest.
        } while ($result->error === null && hrtime(true) / 1e9 < $end && $this->table->page(0, 1) !== []);

        return $result;
    }

    /** How many messages wait. */
    public function waiting(): int
    {
        return $this->table->waiting();
    }

    /**
     * The messages that the server has refused for good, the oldest first.
     *
     * @return list<array{id: int, message: array<string, mixed>, error: string, failed_at: int}>
     */
    public function failed(int $limit = 100): array
    {
        return $this->table->failed($limit);
    }

    /** Has failed messages tried again with the next flush; all of them unless ids are given. */
    public function retry(int ...$ids): void
    {
        $this->table->retry($ids);
    }

    /** Takes failed messages out of the table; all of them unless ids are given. */
    public function forget(int ...$ids): void
    {
        $this->table->forget($ids);
    }

    /**
     * Sends the page of messages behind $last, and moves it on. Returns whether to go on: what
     * keeps back one room, such as a database of the server that is down, is no reason for the
     * others to wait. In the rooms of $blocked nothing overtakes what could not be sent.
     *
     * @param array<string, true> $blocked
     */
    private function page(Flushed $result, int &$last, array &$blocked): bool
    {
        $page = $this->table->page($last, self::PAGE);
        $last = $page === [] ? $last : array_key_last($page);
        $goOn = count($page) === self::PAGE;
        $page = array_filter($page, static function (array $message) use (&$blocked): bool {
            return !isset($blocked[$message['room']]);
        });
        $sent = [];
        try {
            foreach ($this->client->sendBatch($page) as $id => $outcome) {
                if ($outcome->sent !== null && $outcome->sent->queued === null) {
                    $sent[] = $id;
                } elseif ($outcome->error === null) { // may still be refused: the next time tells
                    $blocked[$page[$id]['room']] = true;
                } elseif (self::isFinal($outcome->error)) {
                    $this->table->fail($id, $outcome->error->getMessage());
                    $result->failed++;
                } else {
                    $result->error = $result->error ?? $outcome->error;
                    $blocked[$page[$id]['room']] = true;
                    $goOn = $goOn && self::isOfOneRoom($outcome->error);
                }
            }
        } finally {
            $this->table->delete($sent);
        }
        $result->sent += count($sent);

        return $goOn;
    }

    /** Whether messages of other rooms may have another outcome: not without the server, or the right to use it. */
    private static function isOfOneRoom(RoomtideException $e): bool
    {
        return $e instanceof ApiException && !in_array($e->getErrorCode(), ['unauthenticated', 'forbidden'], true);
    }

    /**
     * Whether the message itself is refused: not for lack of an answer, for being too many,
     * or because of the API key, which are no fault of the message.
     */
    private static function isFinal(RoomtideException $e): bool
    {
        return $e instanceof ApiException && !$e->isRetryable()
            && in_array($e->getErrorCode(), ['invalid', 'not_found', 'not_member', 'conflict', 'too_large'], true);
    }
}
