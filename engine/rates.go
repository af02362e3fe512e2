package engine

import (
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/limit"
)

// Rate is a token bucket: PerSecond on average, Burst at once. A PerSecond of
// 0 is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Rates bound how often things may happen. The zero value bounds nothing.
type Rates struct {
	User   Rate // durable changes of one user, in all rooms
	Room   Rate // durable changes in one room, by all its members
	Join   Rate // joins of one user
	Signal Rate // typing and read marks of one user
	Read   Rate // bytes of answers to one user, of which a question costs some besides (questionCost)

	// Of guests, whose names cost nothing: the same by network, and the rooms that
	// they make.
	GuestChange Rate
	GuestJoin   Rate
	GuestRoom   Rate
}

// rates are the token buckets in use.
type rates struct {
	user   *limit.Rates[chat.UserID]
	room   *limit.Rates[chat.RoomID]
	join   *limit.Rates[chat.UserID]
	signal *limit.Rates[chat.UserID]
	read   *limit.Rates[chat.UserID]

	guestChange, guestJoin, guestRoom *limit.Rates[netip.Prefix]

	shared []sharedRate // all of them
}

func newRates(r Rates, cluster bool, now func() time.Time, reg prometheus.Registerer) *rates {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "roomtide_rate_limited_total", Help: "Requests refused by a rate limit.",
	}, []string{"rate"})
	untold := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "roomtide_rate_untold_total", Help: "What was spent of a rate here and other nodes do not hear of, as too many spend at once.",
	}, []string{"rate"})
	if reg != nil {
		reg.MustRegister(refused, untold)
	}
	config := func(name string, r Rate, text string) limit.RatesConfig {
		c := limit.RatesConfig{
			PerSecond: r.PerSecond, Burst: r.Burst, Now: now,
			Op: "engine.rate", Text: text, Rejected: refused.WithLabelValues(name), Untold: untold.WithLabelValues(name),
		}
		if cluster {
			c.Share = max(1, r.Burst/sharesInBurst)
		}
		return c
	}
	all := &rates{
		user:   limit.NewRates[chat.UserID](config("user", r.User, "you are sending too fast")),
		room:   limit.NewRates[chat.RoomID](config("room", r.Room, "this room is too busy")),
		join:   limit.NewRates[chat.UserID](config("join", r.Join, "you are joining too fast")),
		signal: limit.NewRates[chat.UserID](config("signal", r.Signal, "too many signals")),
		read:   limit.NewRates[chat.UserID](config("read", r.Read, "you are asking too much")),

		guestChange: limit.NewRates[netip.Prefix](config("guest_change", r.GuestChange, "guests of your network are sending too fast")),
		guestJoin:   limit.NewRates[netip.Prefix](config("guest_join", r.GuestJoin, "guests of your network are joining too fast")),
		guestRoom:   limit.NewRates[netip.Prefix](config("guest_room", r.GuestRoom, "guests of your network are making too many rooms")),
	}
	all.shared = []sharedRate{
		shared("user", all.user, userText, userOf), shared("room", all.room, roomText, roomOf), shared("join", all.join, userText, userOf),
		shared("signal", all.signal, userText, userOf), shared("read", all.read, userText, userOf),
		shared("guest_change", all.guestChange, netip.Prefix.String, netip.ParsePrefix),
		shared("guest_join", all.guestJoin, netip.Prefix.String, netip.ParsePrefix),
		shared("guest_room", all.guestRoom, netip.Prefix.String, netip.ParsePrefix),
	}
	return all
}

// change spends a token of the user and of the room. The host's back end is
// trusted and spends none.
func (r *rates) change(a *Actor, room chat.RoomID) error {
	if a.Server {
		return nil
	}
	if err := r.user.Take(a.User); err != nil {
		return err
	}
	if err := byNetwork(r.guestChange, a); err != nil {
		return err
	}
	return r.room.Take(room)
}

// joins spends a token of the user, and of a guest's network. The answer is charged
// when it is known; a user that owes for other answers has to wait.
func (r *rates) joins(a *Actor) error {
	if a.Server {
		return nil
	}
	if err := r.join.Take(a.User); err != nil {
		return err
	}
	if err := byNetwork(r.guestJoin, a); err != nil {
		return err
	}
	return r.read.Check(a.User)
}

// own spends a token of the user for a change of what is the user's alone.
func (r *rates) own(a *Actor) error {
	if a.Server {
		return nil
	}
	if err := r.user.Take(a.User); err != nil {
		return err
	}
	return byNetwork(r.guestChange, a)
}

// byNetwork spends a token of a guest's network.
func byNetwork(r *limit.Rates[netip.Prefix], a *Actor) error {
	if a.Network == nil {
		return nil
	}
	return r.Take(*a.Network)
}
