<?php

declare(strict_types=1);

namespace Roomtide;

/**
 * Makes the tokens with which your pages connect: JWTs that say who the user is. No request
 * is made for it; the server checks the signature. docs/tokens.md has the claims.
 */
final class Tokens
{
    private string $secret;

    /** @var array<string, string> */
    private array $header = ['alg' => 'HS256', 'typ' => 'JWT'];

    /** @var array<string, string> */
    private array $claims;

    /**
     * @param string $secret the bytes of the secret, at least 32: those of a secret_file in [[auth.keys]]
     * @param array{kid?: string, issuer?: string, audience?: string} $options as the server is configured
     */
    public function __construct(
        #[\SensitiveParameter]
        string $secret,
        array $options = []
    ) {
        if (strlen($secret) < 32) {
            throw new \InvalidArgumentException('the secret has less than 32 bytes');
        }
        $this->secret = $secret;
        if (isset($options['kid'])) {
            $this->header['kid'] = $options['kid'];
        }
        $this->claims = array_filter(['iss' => $options['issuer'] ?? '', 'aud' => $options['audience'] ?? '']);
    }

    /** Reads the key of the server itself, the file token.key of its data directory, or a copy of it. */
    public static function fromFile(string $file): self
    {
        $text = is_readable($file) ? trim((string) file_get_contents($file)) : '';
        if (strlen($text) % 2 !== 0 || !ctype_xdigit($text)) {
            throw new \RuntimeException('PHP cannot read ' . $file . ', or it is no token.key of a Roomtide server');
        }

        return new self((string) hex2bin($text));
    }

    /** @return array<string, mixed> without the secret, for var_dump */
    public function __debugInfo(): array
    {
        return ['header' => $this->header, 'claims' => $this->claims];
    }

    /**
     * A token of the user.
     *
     * @param array{name?: string, avatar?: string, rooms?: list<string>, ttl?: int, issued_at?: int} $options
     *        name and avatar: what others see; rooms: those that the user may join even if they
     *        are closed, ["*"] for all; ttl: seconds for which it is good (3600); issued_at: Unix
     *        seconds, see Users::endTokens()
     */
    public function token(string $user, array $options = []): string
    {
        $known = ['name' => true, 'avatar' => true, 'rooms' => true, 'ttl' => true, 'issued_at' => true];
        foreach (array_diff_key($options, $known) as $name => $_) {
            throw new \InvalidArgumentException('there is no option ' . $name);
        }
        if ($user === '') {
            throw new \InvalidArgumentException('a token needs the id of its user');
        }
        $ttl = $options['ttl'] ?? 3600;
        $issued = max(time(), $options['issued_at'] ?? 0);
        if ($ttl <= 0) {
            throw new \InvalidArgumentException('ttl is the number of seconds for which the token is good');
        }
        $claims = $this->claims + ['sub' => $user, 'iat' => $issued, 'exp' => $issued + $ttl];
        if (isset($options['rooms'])) {
            $claims['rooms'] = array_map('strval', array_values($options['rooms']));
        }
        $claims += array_intersect_key($options, ['name' => true, 'avatar' => true]);
        $text = self::base64(self::json($this->header)) . '.' . self::base64(self::json($claims));

        return $text . '.' . self::base64(hash_hmac('sha256', $text, $this->secret, true));
    }

    /** @param array<string, mixed> $value */
    private static function json(array $value): string
    {
        return json_encode($value, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR);
    }

    private static function base64(string $bytes): string
    {
        return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    }
}
