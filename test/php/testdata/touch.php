<?php

// Rows are named to whom the address says, and a place where there is nothing is no error.

declare(strict_types=1);

require __DIR__ . '/lib.php';

use Roomtide\Touch;

$touch = new Touch((string) getenv('TOUCH'), 10.0);
that($touch->rows(4711, 'a-b'), 'taken');
that(!$touch->rows('refuse'), 'refused');
that(!(new Touch('127.0.0.1:1'))->rows(1), 'nobody listens');
that(!(new Touch('unix:/nowhere'))->rows(1), 'there is no socket');

echo "ok\n";
