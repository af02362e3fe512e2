<?php

// What the scripts of this directory share: the package, and a few assertions. Warnings
// and notices are exceptions, but for those of packages of the system. A script ends with
// status 0 if everything held.

declare(strict_types=1);

error_reporting(E_ALL);
set_error_handler(static function (int $level, string $text, string $file, int $line): bool {
    if (strncmp($file, '/usr/share/php/', 15) === 0) {
        return true;
    }
    throw new ErrorException($text, 0, $level, $file, $line);
});

spl_autoload_register(static function (string $class): void {
    $file = getenv('ROOMTIDE_PHP_SRC') . '/' . str_replace('\\', '/', substr($class, strlen('Roomtide\\'))) . '.php';
    if (strncmp($class, 'Roomtide\\', 9) === 0 && is_file($file)) {
        require $file;
    }
});

/** @param mixed $want @param mixed $got */
function same($want, $got, string $what = ''): void
{
    if ($want !== $got) {
        throw new LogicException("$what is " . var_export($got, true) . ', want ' . var_export($want, true));
    }
}

function that(bool $holds, string $what): void
{
    same(true, $holds, $what);
}

/** Calls what has to throw, and returns what it has thrown. */
function thrown(string $class, callable $do): Throwable
{
    try {
        $do();
    } catch (Throwable $e) {
        if ($e instanceof $class) {
            return $e;
        }
        throw $e;
    }
    throw new LogicException("nothing was thrown, want $class");
}

function client(array $options = []): Roomtide\Client
{
    return new Roomtide\Client(getenv('URL'), getenv('KEY'), $options + ['timeout' => 60.0, 'connect_timeout' => 20.0]);
}

/** A transport that answers what it is told to, and keeps what it was asked. */
final class FakeTransport implements Roomtide\Http\Transport
{
    /** @var list<array{method: string, url: string, headers: array<string, string>, body: ?string, timeout: float}> */
    public array $asked = [];

    /** @var list<Roomtide\Http\Response|Throwable> */
    private array $answers;

    public function __construct(...$answers)
    {
        $this->answers = $answers;
    }

    public function send(string $method, string $url, array $headers, ?string $body, float $timeout): Roomtide\Http\Response
    {
        $this->asked[] = compact('method', 'url', 'headers', 'body', 'timeout');
        $answer = count($this->answers) > 1 ? array_shift($this->answers) : $this->answers[0];
        if ($answer instanceof Throwable) {
            throw $answer;
        }

        return $answer;
    }
}

function answer(int $status, array $body): Roomtide\Http\Response
{
    return new Roomtide\Http\Response($status, json_encode($body));
}

function problem(int $status, string $code, int $retryAfter = 0): Roomtide\Http\Response
{
    return answer($status, ['code' => $code, 'detail' => 'because', 'status' => $status, 'retry_after' => $retryAfter]);
}
