<?php

declare(strict_types=1);

if (!defined('WP_UNINSTALL_PLUGIN')) {
    exit;
}

delete_option('roomtide');
wp_unschedule_hook('roomtide_retry');
