<?php

// The plugin in WordPress, without HTTP: one step a process, as WordPress decides at its start
// what is loaded.

declare(strict_types=1);

$step = $argv[1];
if ($step === 'install') {
    define('WP_INSTALLING', true);
}
function wp_mail(): bool
{
    return true;
}
$_SERVER['HTTP_HOST'] = 'localhost';
require getenv('WORDPRESS') . '/wp-load.php';
require __DIR__ . '/lib.php';
set_error_handler(static function (int $level, string $text, string $file, int $line): bool {
    if (strncmp($file, getenv('WORDPRESS'), strlen(getenv('WORDPRESS'))) === 0 || $level === E_USER_DEPRECATED) {
        return true;
    }
    throw new ErrorException($text, 0, $level, $file, $line);
});

/** The messages of a room, each with its author. */
function said(string $room): array
{
    return array_map(static fn (array $m): string => $m['user'] . ': ' . $m['message'], client()->history($room)['messages']);
}

function members(string $room): array
{
    $ids = array_column(client()->members()->list($room)['members'], 'user');
    sort($ids);

    return $ids;
}

/** What BuddyPress hands to messages_message_sent. */
function privateMessage(int $id, string $text): object
{
    return (object) [
        'id' => $id, 'thread_id' => 3, 'sender_id' => 1, 'subject' => 'x', 'message' => $text,
        'recipients' => [2 => (object) ['user_id' => 2], 4 => (object) ['user_id' => 4]],
    ];
}

$block = '<!-- wp:roomtide/chat {"room":"blog"} /-->';

switch ($step) {
    case 'install':
        require ABSPATH . 'wp-admin/includes/upgrade.php';
        wp_install('Blog', 'admin', 'admin@example.org', false, '', 'secret-of-the-test');
        require_once ABSPATH . 'wp-admin/includes/plugin.php';
        same(null, activate_plugin('roomtide/roomtide.php'), 'activated');
        break;

    case 'post':
        update_option('roomtide', ['public_url' => getenv('URL'), 'url' => '', 'key' => getenv('KEY')]);
        same(5000, wp_insert_post(['import_id' => 5000, 'post_title' => 'Chat', 'post_content' => $block, 'post_status' => 'publish', 'post_author' => 1]), 'a post');
        break;

    case 'answer':
        client()->send('blog', 'system', 'And from PHP');
        break;

    case 'plugin':
        // Before it is set up.
        same('', do_blocks($block), 'the block without settings');
        wp_set_current_user(1);
        that(strpos(do_blocks($block), 'Roomtide: name a room') !== false, 'authors are told');

        // The settings; the key is not shown, and stays if none is sent.
        do_action('admin_init');
        require_once ABSPATH . 'wp-admin/includes/template.php';
        update_option('roomtide', ['public_url' => getenv('URL') . '/', 'url' => 'javascript:alert(1)', 'key' => getenv('KEY'), 'other' => 'x']);
        update_option('roomtide', ['public_url' => getenv('URL'), 'url' => '', 'key' => '']);
        same(['public_url' => getenv('URL'), 'url' => '', 'key' => getenv('KEY')], get_option('roomtide'), 'the settings');
        ob_start();
        (new Roomtide\WordPress\Settings())->page();
        $page = ob_get_clean();
        that(strpos($page, getenv('URL')) !== false && strpos($page, getenv('KEY')) === false, 'the page shows the address, and no key');

        // The block and the shortcode. The room is made, and one that is there stays as it is.
        client()->rooms()->put('closed', ['title' => 'Closed', 'open' => false]);
        foreach ([do_blocks($block), do_shortcode('[roomtide room="blog"]'), do_shortcode('[roomtide room="closed"]')] as $html) {
            that(strpos($html, 'data-server="' . getenv('URL') . '"') !== false, $html);
        }
        same([true, 'Closed', false], [client()->rooms()->get('blog')['open'], client()->rooms()->get('closed')['title'], client()->rooms()->get('closed')['open']], 'rooms');
        that(strpos(do_shortcode('[roomtide room="a&quot;><script>"]'), '<script') === false, 'it is escaped');
        that(wp_script_is('roomtide-chat'), 'the script');
        ob_start();
        wp_print_scripts('roomtide-chat');
        that(strpos(ob_get_clean(), '<script type="module" ') !== false, 'it is a module');
        wp_set_current_user(0);
        that(strpos(do_blocks($block), 'wp-login.php') !== false, 'guests are sent to the log-in');

        // The route for tokens.
        $ask = static fn () => rest_do_request(new WP_REST_Request('GET', '/roomtide/v1/token'));
        same(401, $ask()->get_status(), 'a guest');
        wp_set_current_user(1);
        add_filter('roomtide_rooms', static fn (array $rooms, WP_User $user): array => array_merge($rooms, ['staff-' . $user->ID]), 10, 2);
        $answer = $ask();
        $claims = json_decode(base64_decode(strtr(explode('.', $answer->get_data()['token'])[1], '-_', '+/')), true);
        same([200, 'no-store', '1', 'admin', ['staff-1']], [$answer->get_status(), $answer->get_headers()['Cache-Control'], $claims['sub'], $claims['name'], $claims['rooms']], 'a token');

        // BuddyPress.
        do_action('groups_join_group', 7, 1);
        do_action('groups_join_group', 7, 2);
        do_action('groups_leave_group', 7, 2);
        do_action('groups_leave_group', 8, 2);
        same(['1'], members('bp-group-7'), 'the group');
        same(false, client()->rooms()->get('bp-group-7')['open'], 'the group is closed');
        foreach ([1, 1, 2] as $id) {
            do_action('messages_message_sent', privateMessage($id, $id === 1 ? '<p>It\\\'s &amp; <b>that</b></p>' : 'two'));
        }
        same(["1: It's & that", '1: two'], said('bp-thread-3'), 'the thread');
        same(['1', '2', '4'], members('bp-thread-3'), 'the thread');
        same(false, wp_next_scheduled('roomtide_retry'), 'nothing is left');
        break;

    case 'away':
        ini_set('error_log', getenv('CONTENT') . '/error.log');
        wp_set_current_user(1);
        that(strpos(do_shortcode('[roomtide room="new"]'), 'data-room="new"') !== false, 'a page without the server');
        do_action('messages_message_sent', privateMessage(3, 'three'));
        do_action('groups_join_group', 7, 2);
        $waiting = 0;
        foreach (_get_cron_array() as $hooks) {
            $waiting += count($hooks['roomtide_retry'] ?? []);
        }
        same(2, $waiting, 'what is tried again');
        that(strpos(file_get_contents(getenv('CONTENT') . '/error.log'), 'Roomtide: ') !== false, 'the reason is in the log');
        break;

    case 'back':
        // User 2 has left the group meanwhile.
        function groups_is_user_member(int $user, int $group): bool
        {
            return false;
        }
        foreach (_get_cron_array() as $time => $hooks) {
            foreach ($hooks['roomtide_retry'] ?? [] as $event) {
                wp_unschedule_event($time, 'roomtide_retry', $event['args']);
                do_action_ref_array('roomtide_retry', $event['args']);
            }
        }
        same(["1: It's & that", '1: two', '1: three'], said('bp-thread-3'), 'the thread');
        same(['1'], members('bp-group-7'), 'the group');
        same(false, wp_next_scheduled('roomtide_retry'), 'nothing is left');
        break;
}

echo "ok\n";
