<?php

// A part of an application: it writes orders and their messages in transactions, some of
// which are rolled back, and flushes after each. Arguments: its name, how many orders it
// writes, and with which answer of the server it dies, before it can note it; 0: with none.
// It prints a line after each order.

declare(strict_types=1);

require __DIR__ . '/lib.php';

[, $name, $orders, $last] = $argv;

final class DyingTransport implements Roomtide\Http\Transport
{
    private Roomtide\Http\Transport $transport;
    private int $answers;

    public function __construct(int $answers)
    {
        $this->transport = new Roomtide\Http\CurlTransport();
        $this->answers = $answers;
    }

    public function send(string $method, string $url, array $headers, ?string $body, float $timeout): Roomtide\Http\Response
    {
        $response = $this->transport->send($method, $url, $headers, $body, $timeout);
        if ($response->status === 200 && --$this->answers === 0) {
            posix_kill(getmypid(), SIGKILL);
        }

        return $response;
    }
}

$pdo = new PDO(getenv('DSN'), getenv('DB_USER') ?: null, getenv('DB_PASSWORD') ?: null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
$outbox = new Roomtide\Outbox(client(['timeout' => 2.0, 'transport' => new DyingTransport((int) $last)]), $pdo);
for ($i = 0; $i < (int) $orders; $i++) {
    $pdo->beginTransaction();
    $pdo->exec("INSERT INTO orders (producer, number) VALUES ('$name', $i)");
    $outbox->enqueue('orders', $name, "$i");
    if ($i % 5 === 4) {
        $pdo->rollBack();
    } else {
        $pdo->commit();
    }
    $outbox->flush(1.0);
    echo $i, "\n";
}
