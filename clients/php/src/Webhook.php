<?php

declare(strict_types=1);

namespace Roomtide;

use Roomtide\Exception\WebhookException;

/** Verifies webhooks by Standard Webhooks (https://www.standardwebhooks.com), symmetric signatures (v1). */
final class Webhook
{
    private string $secret;
    private int $tolerance;

    /**
     * @param string $secret whsec_ and base64
     * @param int $tolerance seconds that the clocks, and the way here, may take
     */
    public function __construct(
        #[\SensitiveParameter]
        string $secret,
        int $tolerance = 300
    ) {
        $bytes = base64_decode(strncmp($secret, 'whsec_', 6) === 0 ? substr($secret, 6) : $secret, true);
        if ($bytes === false || $bytes === '') {
            throw new \InvalidArgumentException('the secret is not whsec_ and base64');
        }
        $this->secret = $bytes;
        $this->tolerance = $tolerance;
    }

    /** @return array<string, mixed> without the secret, for var_dump */
    public function __debugInfo(): array
    {
        return ['tolerance' => $this->tolerance];
    }

    /**
     * The decoded body, once the signature holds. Give the body as it came:
     * file_get_contents('php://input'). A webhook may come more than once: its webhook-id is
     * the same then.
     *
     * @param array<string, string|list<string>> $headers as getallheaders() or a PSR-7 message has them
     *
     * @return array<string, mixed>
     *
     * @throws WebhookException if it is not genuine, or old
     */
    public function verify(array $headers, string $body, ?int $now = null): array
    {
        $id = self::header($headers, 'webhook-id');
        $time = self::header($headers, 'webhook-timestamp');
        if (!ctype_digit($time) || strlen($time) > 12) {
            throw new WebhookException('webhook-timestamp is no time');
        }
        if (abs(($now ?? time()) - (int) $time) > $this->tolerance) {
            throw new WebhookException('the webhook is too old, or the clocks differ');
        }
        $want = base64_encode(hash_hmac('sha256', $id . '.' . $time . '.' . $body, $this->secret, true));
        $genuine = false;
        foreach (explode(' ', self::header($headers, 'webhook-signature')) as $signature) {
            $genuine = hash_equals('v1,' . $want, $signature) || $genuine;
        }
        if (!$genuine) {
            throw new WebhookException('no signature of the webhook holds');
        }
        $event = json_decode($body, true);
        if (!is_array($event)) {
            throw new WebhookException('the body is no JSON object');
        }

        return $event;
    }

    /** @param array<string, string|list<string>> $headers */
    private static function header(array $headers, string $name): string
    {
        foreach ($headers as $key => $value) {
            if (strtolower((string) $key) === $name) {
                return is_array($value) ? implode(' ', $value) : (string) $value;
            }
        }
        throw new WebhookException($name . ' is missing');
    }
}
