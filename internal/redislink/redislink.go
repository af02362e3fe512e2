// Package redislink is how this program speaks to a Redis or Valkey server: the options
// of a client, and what goes wrong in words.
package redislink

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"

	"github.com/roomtide/roomtide/chat"
)

const pingTimeout = 5 * time.Second

// Open returns a client of the server at a URL, which connects within the timeout and is
// there whether or not the server answers: it is tried again for as long as the client is
// open. Commands of one caller stay in order. The error is of the URL.
func Open(url string, timeout time.Duration) (rueidis.Client, error) {
	opt, err := options(url)
	if err != nil {
		return nil, err
	}
	opt.ConnWriteTimeout = 5 * timeout
	opt.Dialer.Timeout = timeout
	client, err := rueidis.NewClient(opt)
	if client == nil {
		return nil, chat.Wrap(chat.Invalid, "redislink.open", err)
	}
	return client, nil // err says that it does not answer yet
}

// options reads the URL of a Redis server.
func options(url string) (rueidis.ClientOption, error) {
	opt, err := rueidis.ParseURL(url)
	if err != nil { // it would show the password
		return opt, chat.E(chat.Invalid, "write redis as redis://user:password@host:6379/0, or rediss:// with TLS")
	}
	opt.ForceSingleClient = true // which also is a client while the server does not answer
	opt.DisableRetry = true
	opt.DisableCache = true
	opt.AlwaysPipelining = true
	opt.PipelineMultiplex = -1 // one connection: commands stay in order
	opt.ClientName = "roomtide"
	return opt, nil
}

// Try connects once and has try send commands. An error says in words what is wrong.
func Try(ctx context.Context, url string, try func(rueidis.Client) []rueidis.RedisResult) error {
	opt, err := options(url)
	if err != nil {
		return err
	}
	opt.Dialer.Timeout = pingTimeout
	client, err := rueidis.NewClient(opt)
	if client != nil {
		defer client.Close()
	}
	if err == nil {
		for _, r := range try(client) {
			if !rueidis.IsRedisNil(r.Error()) {
				err = cmp.Or(err, r.Error())
			}
		}
	}
	if err != nil {
		return errors.New(Reason(err))
	}
	return nil
}
