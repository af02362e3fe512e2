package httpapi

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
)

// maxUserStreams is how many event streams a user may have at once: a few tabs on a few
// devices, and what a network has lost and the node not yet noticed.
const maxUserStreams = 20

// streams counts event streams, in all and by user.
type streams struct {
	mu    sync.Mutex
	total int
	users map[chat.UserID]int
}

// take counts one more stream, unless there are too many. The user is empty for an API
// key, which has no bound of its own.
func (s *streams) take(user chat.UserID, most int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.total >= most:
		return &chat.Error{Kind: chat.Busy, Op: "httpapi.events", Text: "too many event streams", RetryAfter: 5000}
	case user != "" && s.users[user] >= maxUserStreams:
		return &chat.Error{Kind: chat.RateLimited, Op: "httpapi.events", Text: "too many event streams of this user", RetryAfter: 5000}
	}
	s.total++
	if user != "" {
		if s.users == nil {
			s.users = map[chat.UserID]int{}
		}
		s.users[user]++
	}
	return nil
}

func (s *streams) release(user chat.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if user == "" {
		return
	}
	if s.users[user]--; s.users[user] == 0 {
		delete(s.users, user)
	}
}

// takeStream takes what an event stream needs: a place among the connections of the
// node and of the client's network, and one among the streams of the user. release gives
// them back.
func (c *call) takeStream() (release func(), err error) {
	user := c.id.User
	if c.id.Kind == identity.Server {
		user = ""
	}
	if err := c.streams.take(user, c.cfg.MaxStreams); err != nil {
		return nil, err
	}
	from := c.cfg.Network(c.r)
	if err := c.takePlace(from); err != nil {
		c.streams.release(user)
		return nil, err
	}
	c.metrics.streams.Inc()
	return func() {
		c.metrics.streams.Dec()
		c.cfg.Conns.Release(from)
		c.streams.release(user)
	}, nil
}

func (c *call) takePlace(from netip.Prefix) error {
	_, status := c.cfg.Conns.Acquire(from)
	switch status {
	case 0:
		return nil
	case http.StatusTooManyRequests:
		return &chat.Error{Kind: chat.RateLimited, Op: "httpapi.events", Text: "too many connections from this address", RetryAfter: 5000}
	}
	return &chat.Error{Kind: chat.Busy, Op: "httpapi.events", Text: "too many connections", RetryAfter: 5000}
}

// end returns when the stream ends by itself. A client that has been suspended, or is
// behind a proxy that does not notice its loss, would otherwise be online for ever; one
// that is there comes back at once (again) and misses nothing. Streams that began
// together end apart.
func (a *API) end() *time.Timer {
	return time.NewTimer(a.life*3/4 + rand.N(a.life/2+1))
}

// again is the last frame of a stream that ends by itself: the client is to come back
// at once, before others see it leave.
const again = "retry: 50\n\n"
