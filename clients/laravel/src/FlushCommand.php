<?php

declare(strict_types=1);

namespace Roomtide\Laravel;

use Illuminate\Console\Command;
use Roomtide\Outbox;

/** Sends what waits in the outbox: $schedule->command('roomtide:flush')->everyMinute(). */
final class FlushCommand extends Command
{
    protected $signature = 'roomtide:flush {--install : Make the tables of the outbox first} {--seconds=50 : How long it may take}';

    protected $description = 'Send what waits in the outbox of Roomtide';

    public function handle(Outbox $outbox): int
    {
        if ($this->option('install')) {
            $outbox->install();
        }
        $result = $outbox->flush((float) $this->option('seconds'));
        $this->line("{$result->sent} sent, {$result->failed} refused");
        if ($result->error !== null) {
            $this->error($result->error->getMessage());

            return 1;
        }

        return $result->failed > 0 ? 1 : 0;
    }
}
