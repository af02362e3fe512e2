<?php

declare(strict_types=1);

namespace Roomtide\Laravel;

use Illuminate\Support\Facades\Facade;
use Roomtide\Client;

/**
 * The client as a facade: Roomtide::send('shop', 'ann', 'Hello').
 *
 * @mixin Client
 */
final class Roomtide extends Facade
{
    protected static function getFacadeAccessor(): string
    {
        return Client::class;
    }
}
