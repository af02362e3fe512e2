<?php

declare(strict_types=1);

namespace Roomtide;

/** Idempotency keys. */
final class Key
{
    /** A UUID of version 7 (RFC 9562): unique, and in the order of time, which databases like. */
    public static function generate(): string
    {
        $time = str_pad(dechex((int) (microtime(true) * 1000)), 12, '0', STR_PAD_LEFT);
        $random = random_bytes(10);
        $random[0] = chr(ord($random[0]) & 0x0f | 0x70);
        $random[2] = chr(ord($random[2]) & 0x3f | 0x80);
        $hex = $time . bin2hex($random);

        return substr($hex, 0, 8) . '-' . substr($hex, 8, 4) . '-' . substr($hex, 12, 4) . '-' . substr($hex, 16, 4) . '-' . substr($hex, 20);
    }
}
