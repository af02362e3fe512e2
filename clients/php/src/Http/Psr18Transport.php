<?php

declare(strict_types=1);

namespace Roomtide\Http;

use Psr\Http\Client\ClientExceptionInterface;
use Psr\Http\Client\ClientInterface;
use Psr\Http\Message\RequestFactoryInterface;
use Psr\Http\Message\StreamFactoryInterface;
use Roomtide\Exception\TransportException;

/**
 * Any PSR-18 client, such as the one that your framework has. Its time-outs are its own:
 * set them there, to a few seconds.
 */
final class Psr18Transport implements Transport
{
    private ClientInterface $client;
    private RequestFactoryInterface $requests;
    private StreamFactoryInterface $streams;

    public function __construct(ClientInterface $client, RequestFactoryInterface $requests, StreamFactoryInterface $streams)
    {
        $this->client = $client;
        $this->requests = $requests;
        $this->streams = $streams;
    }

    public function send(string $method, string $url, array $headers, ?string $body, float $timeout): Response
    {
        $request = $this->requests->createRequest($method, $url);
        foreach ($headers as $name => $value) {
            $request = $request->withHeader($name, $value);
        }
        if ($body !== null) {
            $request = $request->withBody($this->streams->createStream($body));
        }
        try {
            $response = $this->client->sendRequest($request);

            return new Response($response->getStatusCode(), (string) $response->getBody());
        } catch (ClientExceptionInterface $e) {
            throw new TransportException('no answer from the Roomtide server: ' . $e->getMessage(), 0, $e);
        }
    }
}
