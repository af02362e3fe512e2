// Package push hands notifications to the services that wake phones and browsers.
//
// A Provider is a driver: it makes one attempt at one target, and says with an Outcome
// what came of it and what is to be done. What providers answer is mapped to outcomes by
// one Table in each driver. Everything that is the same for all of them is above: Gateway
// bounds how many attempts run, leaves a service alone for as long as it asks, and stops
// asking one that fails (circuit breaker).
//
// Nothing here is durable, and nothing is retried here: a caller keeps its jobs in the
// store until an outcome says that they are done.
package push

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// Provider hands notifications to one kind of service. Methods are safe for concurrent use.
type Provider interface {
	// Name is the kind of its targets: "fcm", "apns", "webpush". It is a label of metrics
	// and stands in stored targets, so that it never changes.
	Name() string

	// Check reads an address as a client registers it, a JSON object, and returns it in
	// its one canonical form: what is stored and given to Send. Two registrations of one
	// device with one service are equal strings. An error is of kind chat.Invalid; its text
	// is for the client and does not quote the address. It does no I/O.
	Check(address []byte) (canonical string, err error)

	// Service names the server behind an address that Check has returned, such as its
	// host; "" if there is only one. Each is paused apart from the others.
	Service(address string) string

	// Send makes one attempt to hand the notification to an address that Check has
	// returned. It returns when the service has answered, has failed, or ctx has ended.
	// It does not wait for a better time. It may send once more at once where a connection
	// that was kept open is found closed, or where a credential had to be renewed. Neither argument is
	// kept or changed. The outcome has neither the address nor a credential in it.
	Send(ctx context.Context, address string, n *Notification) Outcome

	// Close ends connections and goroutines. Send is not called any more.
	Close() error
}

// Target is where a device is reached.
type Target struct {
	Provider string // the name of one
	Address  string // as its Check returned it
}

// Notification is what a device gets.
type Notification struct {
	ID    string            `json:"id"` // a UUID, the same in every attempt
	Title string            `json:"title,omitempty"`
	Text  string            `json:"text,omitempty"`
	Data  map[string]string `json:"data,omitempty"` // for the app, not shown

	// Collapse: a notification takes the place of an earlier one with the same Collapse
	// that waits for the device, or that it shows. Services see a digest of it alone.
	// Names of rooms can be guessed, so that they belong in it under a secret of the
	// deployment. Empty: it takes no other's place.
	Collapse string `json:"collapse,omitempty"`

	Badge   *int      `json:"badge,omitempty"` // the number on the app's icon; nil leaves it
	Expires time.Time `json:"expires"`         // services keep it until then; in the past: it is not sent
}

// Silent reports whether nothing of the notification is shown: it carries data, or a
// badge, to the app.
func (n *Notification) Silent() bool { return n.Title == "" && n.Text == "" }

// CollapseKey is Collapse as services get it: 32 letters, digits, "-" and "_", which is
// what the strictest (Topic of RFC 8030) takes; or empty.
func (n *Notification) CollapseKey() string {
	if n.Collapse == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(n.Collapse))
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}

// TTL is how long a service may keep the notification, in whole seconds.
func (n *Notification) TTL(now time.Time) time.Duration {
	return max(0, n.Expires.Sub(now)).Truncate(time.Second)
}

// Action is what an outcome means for the job.
type Action uint8

const (
	Delivered     Action = iota + 1 // the service has it; whether the device ever gets it is not known
	Expired                         // too late: nothing was sent
	Retry                           // not now, for this target alone; try again
	Pause                           // not now, for the whole service; try again
	Misconfigured                   // the service refuses the node's credentials or settings; an operator has to act; try again
	Dead                            // the target is gone: delete it if it was registered before Since
	TooLarge                        // the payload is over the limit: drop the job, or shorten it
	Rejected                        // the service does not take this notification, ever: drop the job
)

var actionNames = [...]string{"", "delivered", "expired", "retry", "pause", "misconfigured", "dead", "too_large", "rejected"}

func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return ""
}

// Final reports whether the job is done, well or badly.
func (a Action) Final() bool {
	switch a {
	case Retry, Pause, Misconfigured:
		return false
	}
	return true
}

// Outcome is what came of an attempt.
type Outcome struct {
	Action Action

	// Reason is the name that the service or the driver has for it, such as UNREGISTERED.
	// There are few: it is a label of metrics.
	Reason string

	// After is how long to wait before another attempt; 0: as the caller's back-off says.
	After time.Duration

	// Since is, of Dead, when the service last knew the target to be gone. A target that was
	// registered later is alive again.
	Since time.Time

	// Doubtful is set where a wrong setting of the node makes live targets look dead, such as
	// device tokens of the sandbox that are sent to production.
	Doubtful bool

	ID  string // the service's name for what it took; may be empty
	Err error  // the cause, for the log; nil if Reason says it all
}
