<?php

declare(strict_types=1);

namespace Roomtide\Exception;

/**
 * The server refused. The class follows from the code; a code that this version does not
 * know is a plain ApiException.
 */
class ApiException extends \RuntimeException implements RoomtideException
{
    private const CLASSES = [
        'invalid' => InvalidException::class,
        'unauthenticated' => UnauthenticatedException::class,
        'forbidden' => ForbiddenException::class,
        'not_member' => NotMemberException::class,
        'not_found' => NotFoundException::class,
        'conflict' => ConflictException::class,
        'too_large' => TooLargeException::class,
        'rate_limited' => RateLimitedException::class,
        'busy' => BusyException::class,
        'unavailable' => UnavailableException::class,
        'read_only' => ReadOnlyException::class,
    ];

    private const RETRYABLE = ['rate_limited', 'busy', 'unavailable', 'read_only'];

    private string $errorCode;
    private int $retryAfter;

    final public function __construct(string $code, string $detail, int $status, int $retryAfter = 0)
    {
        parent::__construct($code . ': ' . $detail, $status);
        $this->errorCode = $code;
        $this->retryAfter = $retryAfter;
    }

    /** @param array<string, mixed> $problem an RFC 9457 object, as the server answers it */
    public static function fromProblem(array $problem, int $status): self
    {
        $code = isset($problem['code']) && is_string($problem['code']) ? $problem['code'] : 'unknown';
        $class = self::CLASSES[$code] ?? self::class;

        return new $class($code, (string) ($problem['detail'] ?? ''), $status, (int) ($problem['retry_after'] ?? 0));
    }

    /** The code of the protocol, such as not_found. getCode() is the HTTP status. */
    public function getErrorCode(): string
    {
        return $this->errorCode;
    }

    /** Milliseconds after which to try again; 0: the server does not say. */
    public function getRetryAfter(): int
    {
        return $this->retryAfter;
    }

    public function isRetryable(): bool
    {
        return in_array($this->errorCode, self::RETRYABLE, true);
    }
}
