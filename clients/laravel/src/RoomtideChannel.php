<?php

declare(strict_types=1);

namespace Roomtide\Laravel;

use Illuminate\Notifications\Notification;
use Roomtide\Client;
use Roomtide\Sent;

/** The notification channel "roomtide": a message in a room. */
final class RoomtideChannel
{
    private Client $client;

    public function __construct(Client $client)
    {
        $this->client = $client;
    }

    /**
     * Sends it once, however often a queue runs the job: the id of the notification is the key
     * of the message, unless that has one.
     *
     * @param mixed $notifiable
     * @param Notification $notification with toRoomtide($notifiable), which returns a RoomtideMessage, or null for none
     */
    public function send($notifiable, Notification $notification): ?Sent
    {
        $message = $notification->toRoomtide($notifiable);
        if ($message === null) {
            return null;
        }
        $id = $notification->id ? ['key' => (string) $notification->id] : [];

        return $this->client->send($message->room, $message->user, $message->text, $message->options + $id);
    }
}
