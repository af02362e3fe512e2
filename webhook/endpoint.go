package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hostevents"
	"github.com/roomtide/roomtide/store"
)

const (
	maxEndpoints = 50
	maxRooms     = 100 // that an endpoint names
	maxBatch     = 100
	maxURL       = 2048
	secretBytes  = 32 // of a new secret; the specification wants 24 to 64
)

// Endpoint is where events are delivered. A change replaces it: it is read-only once it is
// saved.
type Endpoint struct {
	ID       string            `json:"id"`
	URL      string            `json:"url"`
	Secrets  []string          `json:"secrets"` // the newest first; two while they are exchanged
	Kinds    []hostevents.Kind `json:"kinds,omitempty"`
	Rooms    []string          `json:"rooms,omitempty"` // ids, or what ids begin with and *
	Batch    int               `json:"batch"`           // events in a request at most
	Enabled  bool              `json:"enabled"`
	Insecure bool              `json:"insecure,omitempty"` // the URL may be http
	Created  int64             `json:"created"`            // Unix milliseconds

	// From is the time of the first event (Unix milliseconds), Ordered when that was said.
	// With a new Epoch delivery begins there.
	From    int64 `json:"from"`
	Ordered int64 `json:"ordered"`
	Epoch   int   `json:"epoch"`

	Reason string `json:"reason,omitempty"` // why the server has disabled it
}

// record is an Endpoint as it is stored.
type record struct {
	Version int `json:"v"`
	*Endpoint
}

const (
	recordVersion = 1
	collection    = "webhooks"
	deadOf        = "webhook-dead-" // and the id: the collection of what could not be delivered
	consumerOf    = "webhook-"      // and id and epoch: the name of a consumer
	historyName   = "webhook-history"
)

func (e *Endpoint) encode() store.Record {
	body, err := json.Marshal(record{recordVersion, e})
	if err != nil {
		panic(err) // of plain data
	}
	return store.Record{ID: e.ID, Body: body}
}

func decodeEndpoint(r store.Record) (*Endpoint, error) {
	e := &Endpoint{}
	body := record{Endpoint: e}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return nil, fmt.Errorf("the webhook %s cannot be read: %w", r.ID, err)
	}
	if body.Version != recordVersion {
		return nil, fmt.Errorf("the webhook %s has version %d, this program knows %d", r.ID, body.Version, recordVersion)
	}
	return e, nil
}

// consumer is the name of the cursor.
func (e *Endpoint) consumer() string { return consumerOf + e.ID + "-" + strconv.Itoa(e.Epoch) }

// wants reports whether the endpoint is to hear of such an event. Those that are of no room
// are for endpoints without rooms, or that name them.
func (e *Endpoint) wants(k hostevents.Kind, room chat.RoomID) bool {
	if k.Asked() {
		return slices.Contains(e.Kinds, k)
	}
	if len(e.Kinds) > 0 && !slices.Contains(e.Kinds, k) {
		return false
	}
	if len(e.Rooms) == 0 {
		return true
	}
	return slices.ContainsFunc(e.Rooms, func(r string) bool {
		if prefix, ok := strings.CutSuffix(r, "*"); ok {
			return strings.HasPrefix(string(room), prefix)
		}
		return r == string(room)
	})
}

// check returns what is wrong with the endpoint.
func (e *Endpoint) check() error {
	if err := checkURL(e.URL, e.Insecure); err != nil {
		return err
	}
	for _, k := range e.Kinds {
		if !k.Known() {
			return chat.E(chat.Invalid, "there is no kind "+strconv.Quote(string(k))+": the kinds are "+kindList())
		}
	}
	if len(e.Rooms) > maxRooms {
		return chat.E(chat.Invalid, "a webhook names up to "+strconv.Itoa(maxRooms)+" rooms; shop-* is all whose ids begin so, and none at all is every room")
	}
	for _, r := range e.Rooms {
		if r == "" || len(r) > 1024 {
			return chat.E(chat.Invalid, "a room is an id, or what ids begin with and *")
		}
	}
	if e.Batch < 1 || e.Batch > maxBatch {
		return chat.E(chat.Invalid, "batch is a number from 1 to "+strconv.Itoa(maxBatch))
	}
	for _, s := range e.Secrets {
		if _, err := secretKey(s); err != nil {
			return err
		}
	}
	return nil
}

func kindList() string {
	var all []string
	for _, k := range hostevents.Kinds() {
		all = append(all, string(k))
	}
	return strings.Join(all, ", ")
}

// checkURL returns what is wrong with an address that requests go to.
func checkURL(s string, insecure bool) error {
	u, err := url.Parse(s)
	switch {
	case len(s) > maxURL:
		return chat.E(chat.Invalid, "the URL is longer than "+strconv.Itoa(maxURL)+" bytes")
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http":
		return chat.E(chat.Invalid, "the URL is not one such as https://www.example.org/hooks/chat")
	case u.User != nil:
		return chat.E(chat.Invalid, "the URL has a user or a password in it: the signature says who calls")
	case u.Fragment != "":
		return chat.E(chat.Invalid, "the URL has a part behind #, which no server gets")
	case u.Scheme == "http" && !insecure:
		return chat.E(chat.Invalid, "the URL is not https: messages could be read on the way. Say insecure where that is no harm, as on one machine")
	}
	return nil
}

// host names the server of a URL in logs: a path or query may be a secret.
func host(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Host
}

// NewSecret makes a secret for signatures.
func NewSecret() string {
	b := make([]byte, secretBytes)
	rand.Read(b)
	return secretPrefix + base64.StdEncoding.EncodeToString(b)
}
