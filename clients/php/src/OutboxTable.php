<?php

declare(strict_types=1);

namespace Roomtide;

/**
 * The rows of the outbox. Its statements mean the same in every database, and fail by an
 * exception whatever error mode the application has given its PDO.
 *
 * @internal Outbox
 */
final class OutboxTable
{
    private \PDO $pdo;
    private string $name;

    public function __construct(\PDO $pdo, string $name)
    {
        if (!preg_match('/^[A-Za-z_][A-Za-z0-9_.]*$/', $name)) {
            throw new \InvalidArgumentException('the name of the table has letters, digits, _ and a dot at most');
        }
        $this->pdo = $pdo;
        $this->name = $name;
    }

    public function install(): void
    {
        $driver = $this->pdo->getAttribute(\PDO::ATTR_DRIVER_NAME);
        $file = dirname(__DIR__) . '/resources/outbox/' . basename((string) $driver) . '.sql';
        if (!is_file($file)) {
            throw new \LogicException('the outbox does not know the database ' . $driver);
        }
        foreach (explode(';', str_replace('chat_outbox', $this->name, (string) file_get_contents($file))) as $statement) {
            if (trim($statement) !== '') {
                $this->run($statement);
            }
        }
    }

    public function requireNoTransaction(): void
    {
        if ($this->pdo->inTransaction()) {
            throw new \LogicException('flush the outbox after the commit: what a transaction has written may still be rolled back');
        }
    }

    /** @param array<string, mixed> $message */
    public function insert(array $message): void
    {
        // ASCII, so that the character set of the connection does not matter.
        $json = json_encode($message, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION | JSON_UNESCAPED_SLASHES);
        $this->run("INSERT INTO {$this->name} (message, enqueued_at) VALUES (?, ?)", [$json, (string) time()]);
    }

    /**
     * The oldest messages that wait behind an id, by id.
     *
     * @return array<int, array<string, mixed>>
     */
    public function page(int $after, int $limit): array
    {
        $page = [];
        foreach ($this->rows("SELECT id, message FROM {$this->name} WHERE failed_at IS NULL AND id > $after ORDER BY id LIMIT $limit") as [$id, $json]) {
            $page[(int) $id] = json_decode($json, true, 512, JSON_THROW_ON_ERROR);
        }

        return $page;
    }

    /** @param list<int> $ids */
    public function delete(array $ids): void
    {
        if ($ids !== []) {
            $this->run("DELETE FROM {$this->name} WHERE " . self::in($ids));
        }
    }

    public function fail(int $id, string $error): void
    {
        $this->run("UPDATE {$this->name} SET failed_at = ?, error = ? WHERE id = $id", [(string) time(), $error]);
    }

    public function waiting(): int
    {
        return (int) $this->rows("SELECT COUNT(*) FROM {$this->name} WHERE failed_at IS NULL")[0][0];
    }

    /** @return list<array{id: int, message: array<string, mixed>, error: string, failed_at: int}> */
    public function failed(int $limit): array
    {
        $failed = [];
        foreach ($this->rows("SELECT id, message, error, failed_at FROM {$this->name} WHERE failed_at IS NOT NULL ORDER BY id LIMIT $limit") as $row) {
            $failed[] = [
                'id' => (int) $row[0], 'message' => json_decode($row[1], true, 512, JSON_THROW_ON_ERROR),
                'error' => (string) $row[2], 'failed_at' => (int) $row[3],
            ];
        }

        return $failed;
    }

    /** @param list<int> $ids none: all */
    public function retry(array $ids): void
    {
        $this->run("UPDATE {$this->name} SET failed_at = NULL, error = NULL WHERE failed_at IS NOT NULL" . ($ids === [] ? '' : ' AND ' . self::in($ids)));
    }

    /** @param list<int> $ids none: all */
    public function forget(array $ids): void
    {
        $this->run("DELETE FROM {$this->name} WHERE failed_at IS NOT NULL" . ($ids === [] ? '' : ' AND ' . self::in($ids)));
    }

    /**
     * Takes the right to send, or renews what this process holds. It is a matter of order and
     * economy alone: two processes that both send, for their clocks differ, send the same keys.
     *
     * @param string $held what acquire has returned before; empty: nothing
     *
     * @return string what to renew or release it with; empty: another process has it
     */
    public function acquire(int $seconds, string $held = ''): string
    {
        $now = time();
        $holder = Key::generate(); // another one each time: MySQL counts rows that have changed
        $taken = $this->run(
            "UPDATE {$this->name}_flush SET holder = ?, held_until = ? WHERE id = 1 AND (held_until <= $now OR holder = ?)",
            [$holder, (string) ($now + $seconds), $held]
        );

        return $taken->rowCount() === 1 ? $holder : '';
    }

    public function release(string $held): void
    {
        $this->run("UPDATE {$this->name}_flush SET holder = '', held_until = 0 WHERE id = 1 AND holder = ?", [$held]);
    }

    /** @param list<int> $ids */
    private static function in(array $ids): string
    {
        return 'id IN (' . implode(', ', array_map('intval', $ids)) . ')';
    }

    /** @return list<list<string|null>> */
    private function rows(string $sql): array
    {
        $rows = $this->run($sql)->fetchAll(\PDO::FETCH_NUM);

        return $rows === false ? [] : $rows;
    }

    /** @param list<string> $parameters */
    private function run(string $sql, array $parameters = []): \PDOStatement
    {
        $statement = $this->pdo->prepare($sql);
        if ($statement === false || !$statement->execute($parameters)) {
            [$state, , $text] = ($statement ?: $this->pdo)->errorInfo() + ['', 0, ''];
            throw new \PDOException("SQLSTATE[$state]: $text");
        }

        return $statement;
    }
}
