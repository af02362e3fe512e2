<?php

declare(strict_types=1);

namespace Roomtide\Laravel;

/** What toRoomtide() of a notification returns. */
final class RoomtideMessage
{
    public string $room;
    public string $user;
    public string $text;

    /** @var array{key?: string, data?: mixed, reply_to?: int, mentions?: list<string>, name?: string} */
    public array $options;

    /**
     * @param string $user in whose name it is sent
     * @param array{key?: string, data?: mixed, reply_to?: int, mentions?: list<string>, name?: string} $options as those of Client::send
     */
    public function __construct(string $room, string $user, string $text, array $options = [])
    {
        $this->room = $room;
        $this->user = $user;
        $this->text = $text;
        $this->options = $options;
    }
}
