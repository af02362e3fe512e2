<?php

declare(strict_types=1);

namespace Roomtide;

use Roomtide\Http\Api;
use Roomtide\Http\CurlTransport;
use Roomtide\Http\Transport;

/**
 * A back end's client of one Roomtide server.
 *
 * Every method throws a RoomtideException if the server refuses or cannot be reached. What
 * the server answers comes as the array that the HTTP API documents, /openapi.json.
 */
final class Client
{
    private Api $api;
    private Rooms $rooms;
    private Members $members;
    private Users $users;

    /**
     * @param string $url of the server, such as http://127.0.0.1:8080 or https://www.example.org/chat
     * @param string $key an API key: roomtide key add "shop back end" --scope send,read,rooms,users
     * @param array{timeout?: float, connect_timeout?: float, tries?: int, transport?: Transport} $options
     *        timeout: seconds that a call takes at most, repeats included (3);
     *        connect_timeout: seconds for a connection (1); tries: how often a call is made at most (3)
     */
    public function __construct(
        string $url,
        #[\SensitiveParameter]
        string $key,
        array $options = []
    ) {
        $known = ['timeout' => true, 'connect_timeout' => true, 'tries' => true, 'transport' => true];
        foreach (array_diff_key($options, $known) as $name => $_) {
            throw new \InvalidArgumentException('there is no option ' . $name);
        }
        if (!preg_match('{^https?://}', $url)) {
            throw new \InvalidArgumentException('the address of the server begins with http:// or https://');
        }
        $transport = $options['transport'] ?? new CurlTransport((float) ($options['connect_timeout'] ?? 1.0));
        $this->api = new Api($transport, $url, $key, (float) ($options['timeout'] ?? 3.0), $options['tries'] ?? 3);
        $this->rooms = new Rooms($this->api);
        $this->members = new Members($this->api);
        $this->users = new Users($this->api);
    }

    public function rooms(): Rooms
    {
        return $this->rooms;
    }

    public function members(): Members
    {
        return $this->members;
    }

    public function users(): Users
    {
        return $this->users;
    }

    /**
     * Sends a message. When it returns, the message is stored and numbered; or, while its database
     * is down, in the durable queue of a cluster, which Sent::$queued tells. Without a key it
     * gets one, so that a repeat after a time-out is the same message; give one of your own
     * ("order-4711") where your code itself may run twice.
     *
     * @param array{key?: string, data?: mixed, reply_to?: int, mentions?: list<string>, name?: string} $options
     *        data: JSON of your application beside the text; reply_to: the seq of the message
     *        that this one answers; mentions: ids of users that it mentions; name: what the author is called in this message
     */
    public function send(string $room, string $user, string $text, array $options = []): Sent
    {
        $key = (string) ($options['key'] ?? Key::generate());
        unset($options['key']);
        $body = ['user' => $user, 'message' => $text] + $options;
        [$status, $answer] = $this->api->request('POST', Api::path('rooms', $room, 'messages'), [], $body, ['Idempotency-Key' => $key]);

        return new Sent($answer, $key, $status === 200);
    }

    /**
     * Sends many messages, of any number, in few requests. Each has an outcome of its own,
     * under the index of its message; those of one room are stored in their order.
     *
     * @param iterable<array{room: string, user: string, message?: string, key?: string, data?: mixed, reply_to?: int, mentions?: list<string>, name?: string}> $messages
     *
     * @return array<Outcome>
     */
    public function sendBatch(iterable $messages): array
    {
        return (new Batches($this->api))->send($messages);
    }

    /**
     * Replaces the text of a message; a repeat changes nothing.
     *
     * @param array{user?: string, data?: mixed} $options user: as whom, in whose name the roles
     *        of the room do not count; data: replaces the data
     */
    public function edit(string $room, int $seq, string $text, array $options = []): Sent
    {
        $as = Api::as($options['user'] ?? null);
        unset($options['user']);

        return new Sent($this->api->call('PATCH', Api::path('rooms', $room, 'messages', (string) $seq), [], ['message' => $text] + $options, $as));
    }

    /** Deletes a message; its number stays, without the text. */
    public function delete(string $room, int $seq, ?string $user = null): Sent
    {
        return new Sent($this->api->call('DELETE', Api::path('rooms', $room, 'messages', (string) $seq), [], null, Api::as($user)));
    }

    public function react(string $room, int $seq, string $user, string $emoji): Sent
    {
        return new Sent($this->api->call('PUT', Api::path('rooms', $room, 'messages', (string) $seq, 'reactions', $emoji), [], null, Api::as($user)));
    }

    public function unreact(string $room, int $seq, string $user, string $emoji): Sent
    {
        return new Sent($this->api->call('DELETE', Api::path('rooms', $room, 'messages', (string) $seq, 'reactions', $emoji), [], null, Api::as($user)));
    }

    /**
     * A page of messages, the oldest of it first: the newest ten, or those that the options say.
     *
     * @param array{before?: int, after?: int, around?: int|string, limit?: int, user?: string} $options
     *        seqs; around "read" is where the user has read to
     *
     * @return array{room: string, messages: list<array<string, mixed>>, more: bool}
     */
    public function history(string $room, array $options = []): array
    {
        $as = Api::as($options['user'] ?? null);
        unset($options['user']);

        return $this->api->call('GET', Api::path('rooms', $room, 'messages'), $options, null, $as);
    }

    /**
     * All messages behind a seq, the oldest first, page after page as they are asked for.
     *
     * @return \Generator<array<string, mixed>>
     */
    public function messages(string $room, int $after = 0): \Generator
    {
        do {
            $page = $this->history($room, ['after' => $after, 'limit' => 100]);
            foreach ($page['messages'] as $message) {
                $after = $message['seq'];
                yield $message;
            }
        } while ($page['more'] && $page['messages'] !== []);
    }

    /**
     * What changed in a room behind a rev, each message and member once, as it is now. While
     * there is more, ask again with the rev of the answer.
     *
     * @return array<string, mixed>
     */
    public function changes(string $room, int $after = 0, ?int $limit = null): array
    {
        return $this->api->call('GET', Api::path('rooms', $room, 'changes'), ['after' => $after, 'limit' => $limit]);
    }

    /**
     * Who is online in a room, and how many in all.
     *
     * @return array{room: string, online: list<string>, online_count: int}
     */
    public function online(string $room, ?int $limit = null): array
    {
        return $this->api->call('GET', Api::path('rooms', $room, 'online'), ['limit' => $limit]);
    }

    /**
     * Which chat is in force while an old one moves in (roomtide adopt): "none", "copying",
     * "following": the old one; "switching": neither, for seconds; "switched", "done": this one.
     *
     * @return array{state: string, generation: int, source?: string, changed?: string}
     */
    public function adoption(): array
    {
        return $this->api->call('GET', '/v1/adoption');
    }

    /** Tells the room that the user is writing, or has stopped. */
    public function typing(string $room, string $user, bool $on = true): void
    {
        $this->api->call('POST', Api::path('rooms', $room, 'typing'), [], ['on' => $on], Api::as($user));
    }

    /**
     * Marks everything up to a seq as read by the user. Marks never go back.
     *
     * @return array{room: string, seq: int, unread: int}
     */
    public function markRead(string $room, string $user, int $seq): array
    {
        return $this->api->call('PUT', Api::path('rooms', $room, 'read'), [], ['seq' => $seq], Api::as($user));
    }

    /**
     * What is unread for the user, in all rooms together and in each.
     *
     * @return array{user: string, unread: int, rooms: list<array<string, mixed>>}
     */
    public function unread(string $user): array
    {
        return $this->api->call('GET', Api::path('users', $user, 'unread'));
    }
}
