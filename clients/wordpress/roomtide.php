<?php
/**
 * Plugin Name: Roomtide
 * Description: Chat rooms of your own Roomtide server in posts and pages, for the users of this site.
 * Version: 0.1.0
 * Requires at least: 6.1
 * Requires PHP: 7.4
 * License: Apache-2.0
 * Text Domain: roomtide
 */

declare(strict_types=1);

if (!defined('ABSPATH')) {
    exit;
}

spl_autoload_register(static function (string $class): void {
    foreach (['Roomtide\\WordPress\\' => __DIR__ . '/src/', 'Roomtide\\' => __DIR__ . '/lib/'] as $prefix => $directory) {
        if (strncmp($class, $prefix, strlen($prefix)) !== 0) {
            continue;
        }
        $file = $directory . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
        if (is_file($file)) {
            require $file;
        }

        return;
    }
});

(new Roomtide\WordPress\Plugin(__FILE__))->register();
