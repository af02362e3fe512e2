<?php

declare(strict_types=1);

namespace Roomtide\WordPress;

use Roomtide\Client;
use Roomtide\Tokens;

/**
 * Where the server is. Constants in wp-config.php come first: ROOMTIDE_PUBLIC_URL (as
 * browsers reach it), ROOMTIDE_URL (as this machine does), ROOMTIDE_KEY (an API key) and
 * ROOMTIDE_TOKEN_KEY (the path of a copy of token.key). The page in the admin area has
 * what they leave open, but for the path, which only who may write files should name.
 */
final class Settings
{
    public const OPTION = 'roomtide';

    /** The fields of the page, by the constant that sets each. */
    private const FIELDS = ['ROOMTIDE_PUBLIC_URL' => 'public_url', 'ROOMTIDE_URL' => 'url', 'ROOMTIDE_KEY' => 'key'];

    public function publicUrl(): string
    {
        return rtrim($this->get('ROOMTIDE_PUBLIC_URL'), '/');
    }

    /** Whether a client can be made. */
    public function complete(): bool
    {
        return $this->get('ROOMTIDE_KEY') !== '' && $this->url() !== '';
    }

    public function client(): Client
    {
        return new Client($this->url(), $this->get('ROOMTIDE_KEY'), ['transport' => new Transport()]);
    }

    public function tokens(): Tokens
    {
        return Tokens::fromFile(defined('ROOMTIDE_TOKEN_KEY') ? (string) constant('ROOMTIDE_TOKEN_KEY') : '');
    }

    public function register(): void
    {
        add_action('admin_menu', function (): void {
            add_options_page('Roomtide', 'Roomtide', 'manage_options', self::OPTION, [$this, 'page']);
        });
        add_action('admin_init', function (): void {
            register_setting(self::OPTION, self::OPTION, ['type' => 'array', 'sanitize_callback' => [$this, 'sanitize']]);
        });
    }

    /**
     * What the page sends, as it is stored. An empty key leaves the one that there is, since the
     * page does not show it.
     *
     * @param mixed $in
     *
     * @return array<string, string>
     */
    public function sanitize($in): array
    {
        $in = is_array($in) ? $in : [];
        $out = (array) get_option(self::OPTION, []);
        foreach (['public_url', 'url'] as $name) {
            $out[$name] = esc_url_raw(trim((string) ($in[$name] ?? '')), ['http', 'https']);
        }
        $key = sanitize_text_field((string) ($in['key'] ?? ''));
        if ($key !== '') {
            $out['key'] = $key;
        }

        return $out;
    }

    public function page(): void
    {
        $labels = [
            'public_url' => __('Address of the server for browsers', 'roomtide'),
            'url' => __('Address of the server for this machine, if it is another one', 'roomtide'),
            'key' => __('API key (scopes send, read, rooms, users)', 'roomtide'),
        ];
        echo '<div class="wrap"><h1>Roomtide</h1><form method="post" action="options.php">';
        settings_fields(self::OPTION);
        echo '<table class="form-table">';
        foreach (self::FIELDS as $constant => $name) {
            $secret = $name === 'key';
            printf(
                '<tr><th><label for="roomtide-%1$s">%2$s</label></th><td><input class="regular-text" id="roomtide-%1$s" name="%3$s[%1$s]" type="%4$s" value="%5$s" placeholder="%6$s"%7$s></td></tr>',
                esc_attr($name),
                esc_html($labels[$name]),
                esc_attr(self::OPTION),
                $secret ? 'password' : 'url',
                $secret ? '' : esc_attr($this->get($constant)),
                $secret && $this->get($constant) !== '' ? esc_attr__('unchanged', 'roomtide') : '',
                defined($constant) ? ' disabled' : ''
            );
        }
        echo '</table><p>';
        esc_html_e('The path of a copy of token.key, which signs the tokens of users, is the constant ROOMTIDE_TOKEN_KEY in wp-config.php.', 'roomtide');
        echo '</p>';
        submit_button();
        echo '</form></div>';
    }

    private function url(): string
    {
        return $this->get('ROOMTIDE_URL') ?: $this->publicUrl();
    }

    private function get(string $constant): string
    {
        if (defined($constant)) {
            return (string) constant($constant);
        }
        $stored = (array) get_option(self::OPTION, []);

        return (string) ($stored[self::FIELDS[$constant]] ?? '');
    }
}
