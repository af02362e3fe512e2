<?php

declare(strict_types=1);

namespace Roomtide\WordPress;

use Roomtide\Exception\ApiException;
use Roomtide\Exception\NotFoundException;
use Roomtide\Exception\RoomtideException;

/**
 * Members of BuddyPress groups are members of the room bp-group-ID, and private messages are
 * also in the room bp-thread-ID, of which its people are members. What the server cannot
 * take now is tried again by WP-Cron; nothing of it is doubled.
 */
final class BuddyPress
{
    /** Tries of WP-Cron, the last ones an hour apart. */
    private const TRIES = 24;

    private Settings $settings;

    public function __construct(Settings $settings)
    {
        $this->settings = $settings;
    }

    public function register(): void
    {
        add_action('groups_join_group', function ($group, $user): void {
            $this->attempt(self::membership('join', (int) $group, (int) $user));
        }, 10, 2);
        foreach (['groups_leave_group', 'groups_remove_member', 'groups_ban_member'] as $hook) {
            add_action($hook, function ($group, $user): void {
                $this->attempt(self::membership('leave', (int) $group, (int) $user));
            }, 10, 2);
        }
        add_action('messages_message_sent', [$this, 'message']);
        add_action('roomtide_retry', [$this, 'attempt'], 10, 2);
    }

    /** @return array<string, mixed> */
    private static function membership(string $do, int $group, int $user): array
    {
        return ['do' => $do, 'room' => "bp-group-$group", 'user' => (string) $user, 'group' => $group];
    }

    /** @param object $message a BP_Messages_Message */
    public function message($message): void
    {
        $people = array_map(static fn ($recipient): string => (string) $recipient->user_id, array_values((array) $message->recipients));
        $this->attempt([
            'do' => 'send', 'room' => 'bp-thread-' . $message->thread_id, 'user' => (string) $message->sender_id,
            'message' => html_entity_decode(wp_strip_all_tags(wp_unslash((string) $message->message)), ENT_QUOTES, 'UTF-8'),
            'key' => 'bp-message-' . $message->id, 'people' => array_values(array_unique(array_merge($people, [(string) $message->sender_id]))),
        ]);
    }

    /**
     * Does a job, or has it done later.
     *
     * @param array<string, mixed> $job
     */
    public function attempt(array $job, int $tried = 0): void
    {
        if (!$this->settings->complete()) {
            return;
        }
        if ($tried > 0 && isset($job['group'])) { // what is so now, which may be another thing than then
            $job['do'] = groups_is_user_member((int) $job['user'], $job['group']) ? 'join' : 'leave';
        }
        try {
            $this->run($job);
        } catch (RoomtideException $e) {
            if ($e instanceof ApiException && !$e->isRetryable() || $tried >= self::TRIES) {
                error_log('Roomtide: given up: ' . $job['do'] . ' ' . $job['room'] . ': ' . $e->getMessage());

                return;
            }
            wp_schedule_single_event(time() + min(60 * 2 ** $tried, HOUR_IN_SECONDS), 'roomtide_retry', [$job, $tried + 1]);
        }
    }

    /** @param array<string, mixed> $job */
    private function run(array $job): void
    {
        $client = $this->settings->client();
        switch ($job['do']) {
            case 'join':
                $this->withRoom($job['room'], static fn () => $client->members()->put($job['room'], $job['user']));
                break;
            case 'leave':
                try {
                    $client->members()->remove($job['room'], $job['user']);
                } catch (NotFoundException $e) { // there is nothing to leave
                }
                break;
            case 'send':
                foreach ($job['people'] as $user) {
                    $this->withRoom($job['room'], static fn () => $client->members()->put($job['room'], $user));
                }
                $client->send($job['room'], $job['user'], $job['message'], ['key' => $job['key']]);
        }
    }

    /** Does what needs a room, and makes it, closed, if there is none. */
    private function withRoom(string $room, callable $do): void
    {
        try {
            $do();
        } catch (NotFoundException $e) {
            $this->settings->client()->rooms()->put($room, ['open' => false]);
            $do();
        }
    }
}
