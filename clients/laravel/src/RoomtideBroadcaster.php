<?php

declare(strict_types=1);

namespace Roomtide\Laravel;

use Illuminate\Broadcasting\Broadcasters\Broadcaster;
use Illuminate\Broadcasting\Broadcasters\UsePusherChannelConventions;
use Illuminate\Broadcasting\BroadcastException;
use Roomtide\Client;
use Roomtide\Exception\NotFoundException;
use Roomtide\Exception\RoomtideException;
use Roomtide\Outcome;
use Roomtide\Tokens;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

/**
 * The broadcasting driver "roomtide". A channel is the room of the same name, with the
 * prefix if it has one: private-orders.1 is a closed room, news an open one. An event is a
 * message, whose data has its name and its payload; a page that was away gets it later.
 *
 * The route /broadcasting/auth answers with a token for the channels that it is asked for
 * (channel_name, one or an array), by the callbacks of routes/channels.php.
 */
final class RoomtideBroadcaster extends Broadcaster
{
    use UsePusherChannelConventions;

    private Client $client;
    private Tokens $tokens;
    private string $sender;

    /** @param string $sender the user in whose name events are sent */
    public function __construct(Client $client, Tokens $tokens, string $sender)
    {
        $this->client = $client;
        $this->tokens = $tokens;
        $this->sender = $sender;
    }

    /**
     * Refuses channels that the user may not have. Rooms of channels without a prefix are open,
     * and need no more than a user: a token never names them, whatever a room of that name is.
     *
     * @param \Illuminate\Http\Request $request
     *
     * @return array{token: string}
     */
    public function auth($request)
    {
        foreach ($this->guarded($request) as $channel) {
            $this->verifyUserCanAccessChannel($request, $this->normalizeChannelName($channel));
        }

        return $this->validAuthenticationResponse($request, true);
    }

    /**
     * @param \Illuminate\Http\Request $request
     * @param mixed $result
     *
     * @return array{token: string}
     */
    public function validAuthenticationResponse($request, $result)
    {
        $channels = $this->guarded($request);
        $user = $this->retrieveUser($request, $this->normalizeChannelName($channels[0] ?? ''));
        if (!$user) {
            throw new AccessDeniedHttpException();
        }
        $name = is_string($user->name ?? null) ? ['name' => $user->name] : [];

        return ['token' => $this->tokens->token((string) $user->getAuthIdentifier(), ['rooms' => $channels] + $name)];
    }

    /**
     * Sends the event to all channels. A string `key` in the payload (broadcastWith) makes it
     * one message in each, however often a queue runs the job; a string `message` is its text.
     *
     * @param array<int, mixed> $channels
     * @param string $event
     * @param array<string, mixed> $payload
     */
    public function broadcast(array $channels, $event, array $payload = [])
    {
        unset($payload['socket']);
        $key = is_string($payload['key'] ?? null) ? ['key' => $payload['key']] : [];
        unset($payload['key']);
        $messages = [];
        foreach ($this->formatChannels($channels) as $channel) {
            $messages[] = $key + [
                'room' => $channel, 'user' => $this->sender, 'message' => is_string($payload['message'] ?? null) ? $payload['message'] : '',
                'data' => ['event' => $event, 'payload' => (object) $payload],
            ];
        }
        try {
            $this->fail($this->send($messages));
        } catch (RoomtideException $e) {
            throw new BroadcastException('Roomtide: ' . $e->getMessage(), 0, $e);
        }
    }

    /**
     * Sends the messages, and makes the rooms that are missing.
     *
     * @param list<array<string, mixed>> $messages
     *
     * @return array<Outcome>
     */
    private function send(array $messages): array
    {
        $outcomes = $this->client->sendBatch($messages);
        $again = [];
        foreach ($outcomes as $i => $outcome) {
            if ($outcome->error instanceof NotFoundException) {
                $again[$i] = $messages[$i];
                $this->client->rooms()->put($messages[$i]['room'], ['open' => !$this->isGuardedChannel($messages[$i]['room'])]);
            }
        }

        return $again === [] ? $outcomes : $this->client->sendBatch($again) + $outcomes;
    }

    /** @param array<Outcome> $outcomes */
    private function fail(array $outcomes): void
    {
        foreach ($outcomes as $outcome) {
            if ($outcome->error !== null) {
                throw $outcome->error;
            }
        }
    }

    /**
     * The channels of the request that have a prefix.
     *
     * @param \Illuminate\Http\Request $request
     *
     * @return list<string>
     */
    private function guarded($request): array
    {
        $channels = array_filter((array) $request->input('channel_name'), 'is_string');

        return array_values(array_filter($channels, fn (string $channel): bool => $this->isGuardedChannel($channel)));
    }
}
