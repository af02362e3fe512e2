<?php

// The package for Laravel in an application of Debian's Laravel, without HTTP.

declare(strict_types=1);

require 'Illuminate/autoload.php'; // Debian has it in the include path
require __DIR__ . '/lib.php';

spl_autoload_register(static function (string $class): void {
    if (strncmp($class, 'Roomtide\\Laravel\\', 17) === 0) {
        require getenv('ROOMTIDE_PHP_SRC') . '/../../laravel/src/' . substr($class, 17) . '.php';
    }
});

use Illuminate\Foundation\Application;
use Illuminate\Notifications\AnonymousNotifiable;
use Illuminate\Notifications\Notification;
use Roomtide\Client;
use Roomtide\Laravel\FlushCommand;
use Roomtide\Laravel\Roomtide;
use Roomtide\Laravel\RoomtideMessage;
use Roomtide\Outbox;
use Roomtide\Tokens;
use Symfony\Component\Console\Input\ArrayInput;
use Symfony\Component\Console\Output\BufferedOutput;

final class OrderShipped extends Notification
{
    public function via($notifiable): array
    {
        return ['roomtide'];
    }

    public function toRoomtide($notifiable): RoomtideMessage
    {
        return new RoomtideMessage('shop', 'system', 'Your order has left.', ['data' => ['order' => 4711]]);
    }
}

final class Shipped implements Illuminate\Contracts\Broadcasting\ShouldBroadcastNow
{
    public int $order = 4711;

    public function broadcastOn(): array
    {
        return [new Illuminate\Broadcasting\PrivateChannel('orders.4711'), new Illuminate\Broadcasting\Channel('news')];
    }

    public function broadcastWith(): array
    {
        return ['order' => $this->order, 'key' => 'shipped-4711'];
    }
}

$app = new Application(sys_get_temp_dir());
$app->instance('config', new Illuminate\Config\Repository([
    'roomtide' => ['url' => getenv('URL'), 'key' => getenv('KEY'), 'token_key' => getenv('TOKEN_KEY'), 'timeout' => 60.0],
    'broadcasting' => ['default' => 'roomtide', 'connections' => ['roomtide' => ['driver' => 'roomtide', 'sender' => 'shop']]],
    'database' => ['default' => 'sqlite', 'connections' => ['sqlite' => ['driver' => 'sqlite', 'database' => ':memory:']]],
]));
Illuminate\Support\Facades\Facade::setFacadeApplication($app);
foreach ([Illuminate\Bus\BusServiceProvider::class, Illuminate\Broadcasting\BroadcastServiceProvider::class, Illuminate\Database\DatabaseServiceProvider::class, Illuminate\Notifications\NotificationServiceProvider::class, \Roomtide\Laravel\RoomtideServiceProvider::class] as $provider) {
    $app->register($provider);
}
$app->boot();

// The container and the facade.
that($app->make(Client::class) === $app->make(Client::class), 'one client');
same(2, substr_count($app->make(Tokens::class)->token('ann'), '.'), 'a token');
Roomtide::rooms()->put('shop');
same(1, Roomtide::send('shop', 'ann', 'Hello')->seq, 'by the facade');

// A notification, and the same one again, as when a queue runs a job twice.
$notification = new OrderShipped();
$notification->id = 'aa0e8400-e29b-41d4-a716-446655440000';
foreach ([1, 2] as $_) {
    (new AnonymousNotifiable())->route('roomtide', '')->notifyNow($notification);
}
$messages = Roomtide::history('shop')['messages'];
same([2, 'Your order has left.', ['order' => 4711]], [count($messages), $messages[1]['message'], $messages[1]['data']], 'messages');

// The outbox in a transaction of Laravel's connection, and the command that flushes it.
$flush = static function (array $input) use ($app): array {
    $command = $app->make(FlushCommand::class);
    $command->setLaravel($app);
    $output = new BufferedOutput();

    return [$command->run(new ArrayInput($input), $output), trim($output->fetch())];
};
same([0, '0 sent, 0 refused'], $flush(['--install' => true]), 'installed');
$db = $app['db'];
$db->transaction(static function () use ($app): void {
    $app->make(Outbox::class)->enqueue('shop', 'system', 'committed');
});
try {
    $db->transaction(static function () use ($app): void {
        $app->make(Outbox::class)->enqueue('shop', 'system', 'rolled back');
        throw new RuntimeException();
    });
} catch (RuntimeException $e) {
}
same([0, '1 sent, 0 refused'], $flush([]), 'flushed');
same('committed', Roomtide::history('shop', ['limit' => 1])['messages'][0]['message'], 'the last');
$app->make(Outbox::class)->enqueue('none', 'system', 'x');
same([1, '0 sent, 1 refused'], $flush([]), 'refused');

// An event, broadcast twice, as by a queue: the rooms are made, with what is in it once.
$app->bind(Illuminate\Contracts\Queue\Factory::class, static function () {
    throw new LogicException('there is no queue');
});
foreach ([1, 2] as $_) {
    (new Illuminate\Broadcasting\BroadcastEvent(new Shipped()))->handle($app->make(Illuminate\Contracts\Broadcasting\Factory::class));
}
foreach (['private-orders.4711' => false, 'news' => true] as $room => $open) {
    $messages = Roomtide::history($room)['messages'];
    same([1, 'shop', ['event' => 'Shipped', 'payload' => ['order' => 4711]]], [count($messages), $messages[0]['user'], $messages[0]['data']], $room);
    same($open, Roomtide::rooms()->get($room)['open'], $room);
}
thrown(Illuminate\Broadcasting\BroadcastException::class, static function () use ($app): void {
    $app->make(Illuminate\Contracts\Broadcasting\Broadcaster::class)->broadcast([str_repeat('x', 500)], 'E', []);
});

// The route for tokens: guarded channels by their callbacks, and nothing else in the token.
$broadcaster = $app->make(Illuminate\Contracts\Broadcasting\Broadcaster::class);
$broadcaster->channel('orders.{id}', static function ($user, string $id): bool {
    return $id === '4711';
});
$auth = static function ($channels, bool $user = true) use ($broadcaster): array {
    $request = Illuminate\Http\Request::create('/broadcasting/auth', 'POST', ['channel_name' => $channels]);
    $request->setUserResolver(static function () use ($user) {
        return $user ? new Illuminate\Auth\GenericUser(['id' => 7, 'name' => 'Ann']) : null;
    });
    [, $claims] = explode('.', $broadcaster->auth($request)['token']);
    $claims = json_decode(base64_decode(strtr($claims, '-_', '+/')), true);

    return [$claims['sub'], $claims['name'], $claims['rooms']];
};
same(['7', 'Ann', ['private-orders.4711']], $auth('private-orders.4711'), 'a token');
same(['7', 'Ann', ['private-orders.4711']], $auth(['news', 'private-orders.4711', '*', ['x']]), 'a token');
$denied = Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException::class;
foreach (['private-orders.1', 'private-*', 'private-', 'presence-orders.1', ['private-orders.4711', 'private-secret']] as $channels) {
    thrown($denied, static function () use ($auth, $channels): void {
        $auth($channels);
    });
}
foreach (['news', 'private-orders.4711'] as $channels) {
    thrown($denied, static function () use ($auth, $channels): void {
        $auth($channels, false);
    });
}

echo "ok\n";
