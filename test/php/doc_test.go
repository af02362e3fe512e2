// Package php runs the PHP package of clients/php and the page of examples/php with PHP
// itself, against the real program: the whole surface, repeats while the node is killed,
// and the outbox in SQLite, MariaDB and PostgreSQL. Warnings and notices of PHP are
// errors. What needs no server also runs in PHP 7.4, the oldest that the package takes. The
// package of clients/laravel runs in the Laravel of the system, and the plugin of
// clients/wordpress in the WordPress that scripts/need unpacks; BuddyPress is not there, and its
// hooks are called as it calls them.
package php
