<?php

declare(strict_types=1);

namespace Roomtide\WordPress;

use Roomtide\Exception\TransportException;
use Roomtide\Http\Response;

/** HTTP by WordPress, with its proxies and filters. */
final class Transport implements \Roomtide\Http\Transport
{
    public function send(string $method, string $url, array $headers, ?string $body, float $timeout): Response
    {
        $answer = wp_remote_request($url, [
            'method' => $method, 'headers' => $headers, 'body' => $body, 'timeout' => $timeout, 'redirection' => 0,
        ]);
        if (is_wp_error($answer)) {
            throw new TransportException($answer->get_error_message());
        }

        return new Response((int) wp_remote_retrieve_response_code($answer), wp_remote_retrieve_body($answer));
    }
}
