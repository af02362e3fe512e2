<?php

declare(strict_types=1);

namespace Roomtide\WordPress;

use Roomtide\Exception\NotFoundException;
use Roomtide\Exception\RoomtideException;

/** What the plugin adds to the site: a block, a shortcode, a route for tokens. */
final class Plugin
{
    /** Seconds until a room that is there is looked for again. */
    private const KNOWN = DAY_IN_SECONDS;

    private string $file;
    private Settings $settings;

    public function __construct(string $file)
    {
        $this->file = $file;
        $this->settings = new Settings();
    }

    public function register(): void
    {
        $this->settings->register();
        (new BuddyPress($this->settings))->register();
        add_action('init', [$this, 'init']);
        add_action('rest_api_init', [$this, 'routes']);
        add_filter('script_loader_tag', static function (string $tag, string $handle): string {
            return $handle === 'roomtide-chat' ? str_replace('<script ', '<script type="module" ', $tag) : $tag;
        }, 10, 2);
    }

    public function init(): void
    {
        wp_register_script('roomtide-chat', plugins_url('block/chat.js', $this->file), [], '0.1.0', true);
        wp_register_script('roomtide-editor', plugins_url('block/editor.js', $this->file), ['wp-blocks', 'wp-element', 'wp-components', 'wp-block-editor'], '0.1.0', true);
        register_block_type(dirname($this->file) . '/block', ['render_callback' => [$this, 'render']]);
        add_shortcode('roomtide', [$this, 'render']);
    }

    public function routes(): void
    {
        register_rest_route('roomtide/v1', '/token', [
            'methods' => 'GET',
            'callback' => [$this, 'token'],
            'permission_callback' => 'is_user_logged_in',
        ]);
    }

    /**
     * A token for the user who is logged in. The filter roomtide_rooms names the closed rooms
     * that it opens.
     *
     * @return \WP_REST_Response|\WP_Error
     */
    public function token()
    {
        $user = wp_get_current_user();
        try {
            $token = $this->settings->tokens()->token((string) $user->ID, [
                'name' => (string) $user->display_name,
                'avatar' => (string) get_avatar_url($user->ID),
                'rooms' => array_values((array) apply_filters('roomtide_rooms', [], $user)),
                'ttl' => 600,
            ]);
        } catch (\Exception $e) {
            return new \WP_Error('roomtide', __('The chat is not set up: ROOMTIDE_TOKEN_KEY in wp-config.php has to be the path of a copy of token.key.', 'roomtide'), ['status' => 503]);
        }
        $answer = new \WP_REST_Response(['token' => $token]);
        $answer->header('Cache-Control', 'no-store');

        return $answer;
    }

    /**
     * The block, and the shortcode [roomtide room="shop"].
     *
     * @param mixed $attributes
     */
    public function render($attributes): string
    {
        $room = trim((string) (((array) $attributes)['room'] ?? ''));
        if ($room === '' || $this->settings->publicUrl() === '') {
            return current_user_can('edit_posts') ? '<p>' . esc_html__('Roomtide: name a room here, and the server in Settings, Roomtide.', 'roomtide') . '</p>' : '';
        }
        if (!is_user_logged_in()) {
            return '<p><a href="' . esc_url(wp_login_url((string) get_permalink())) . '">' . esc_html__('Log in to chat.', 'roomtide') . '</a></p>';
        }
        $this->make($room);
        wp_enqueue_script('roomtide-chat');

        return sprintf(
            '<div class="roomtide-chat" data-room="%s" data-server="%s" data-token="%s" data-nonce="%s" data-send="%s"></div>',
            esc_attr($room),
            esc_url($this->settings->publicUrl()),
            esc_url(rest_url('roomtide/v1/token')),
            esc_attr(wp_create_nonce('wp_rest')),
            esc_attr__('Send', 'roomtide')
        );
    }

    /** Makes the room, open to all users, if there is none. A page is shown without it as well. */
    private function make(string $room): void
    {
        $known = 'roomtide_' . md5($room);
        if (!$this->settings->complete() || get_transient($known)) {
            return;
        }
        try {
            $rooms = $this->settings->client()->rooms();
            try {
                $rooms->get($room);
            } catch (NotFoundException $e) {
                $rooms->put($room, ['title' => $room, 'open' => true]);
            }
            set_transient($known, '1', self::KNOWN);
        } catch (RoomtideException $e) {
            set_transient($known, '1', MINUTE_IN_SECONDS); // pages are not held up meanwhile
            error_log('Roomtide: ' . $e->getMessage());
        }
    }
}
