<?php

declare(strict_types=1);

namespace Roomtide\Laravel;

use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Notifications\ChannelManager;
use Illuminate\Support\ServiceProvider;
use Roomtide\Client;
use Roomtide\Outbox;
use Roomtide\Tokens;

/**
 * Puts Client, Tokens and Outbox into the container, the channel "roomtide" among those of
 * notifications, and the driver "roomtide" among those of broadcasting.
 */
final class RoomtideServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->mergeConfigFrom(self::config(), 'roomtide');
        $this->app->singleton(Client::class, static function ($app): Client {
            $config = $app['config']['roomtide'];

            return new Client($config['url'], $config['key'], ['timeout' => $config['timeout']]);
        });
        $this->app->singleton(Tokens::class, static function ($app): Tokens {
            return Tokens::fromFile($app['config']['roomtide.token_key']);
        });
        // Not a singleton: the connection may have been made anew.
        $this->app->bind(Outbox::class, static function ($app): Outbox {
            $config = $app['config']['roomtide.outbox'];

            return new Outbox($app->make(Client::class), $app['db']->connection($config['connection'])->getPdo(), $config['table']);
        });
        $this->app->afterResolving(ChannelManager::class, static function (ChannelManager $channels): void {
            $channels->extend('roomtide', static function ($app): RoomtideChannel {
                return $app->make(RoomtideChannel::class);
            });
        });
        $this->app->afterResolving(BroadcastManager::class, static function (BroadcastManager $broadcasters): void {
            $broadcasters->extend('roomtide', static function ($app, array $config): RoomtideBroadcaster {
                return new RoomtideBroadcaster($app->make(Client::class), $app->make(Tokens::class), $config['sender'] ?? 'system');
            });
        });
    }

    public function boot(): void
    {
        if ($this->app->runningInConsole()) {
            $this->publishes([self::config() => $this->app->configPath('roomtide.php')], 'roomtide-config');
            $this->commands([FlushCommand::class]);
        }
    }

    private static function config(): string
    {
        return dirname(__DIR__) . '/config/roomtide.php';
    }
}
