package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/origin"
)

// SelfPath is where a running node tells "roomtide doctor" about itself and about the
// request. It answers requests with a proof (SelfProof) alone, which only a reader of
// the data dir can make; for others the address does not exist. More may follow in the
// path, to see whether a proxy leaves it as it is. With the query stream
// the answer is an event stream of two events with SelfPause between them.
const (
	SelfPath   = "/v1/doctor"
	SelfHeader = "Roomtide-Doctor"
	SelfPause  = 2 * time.Second
	selfSkew   = time.Minute // by how much the clock of a proof may differ
)

// Self is what a node tells of itself, and of a request as it has come in.
type Self struct {
	Version     string            `json:"version"`
	Started     int64             `json:"started"` // Unix milliseconds
	Now         int64             `json:"now"`
	Ready       string            `json:"ready"`            // why it is not, "" if it is
	Down        []string          `json:"down"`             // shards whose rooms it cannot write
	Files       int               `json:"files"`            // descriptors that the process may have, 0: unknown
	Connections int               `json:"connections"`      // for which they are enough, 0: unknown
	Settings    map[string]string `json:"settings"`         // in force, by key; what is secret is masked
	Inside      *Inside           `json:"inside,omitempty"` // nil: it has no NATS server inside

	Path          string   `json:"path"` // as it was sent
	Host          string   `json:"host"`
	Peer          string   `json:"peer"`      // the other end of the connection
	Client        string   `json:"client"`    // for whom it counts
	Trusted       bool     `json:"trusted"`   // the peer is one of trusted_proxies
	Forwarded     []string `json:"forwarded"` // names of the header fields by which a proxy tells that it is one
	NoGuest       string   `json:"no_guest"`  // why the client has to have a token, "" if it may come as a guest
	OriginAllowed bool     `json:"origin_allowed"`
}

// SelfProof is the value of SelfHeader for requests that are made now.
func SelfProof(secret []byte, now time.Time) string {
	at := strconv.FormatInt(now.Unix(), 10)
	return at + "." + hex.EncodeToString(selfSum(secret, at))
}

func selfSum(secret []byte, at string) []byte {
	sum := hmac.New(sha256.New, secret)
	sum.Write([]byte("roomtide doctor " + at))
	return sum.Sum(nil)
}

// selfProven reports whether the request has a proof of now.
func selfProven(r *http.Request, secret []byte, now time.Time) bool {
	at, sum, _ := strings.Cut(r.Header.Get(SelfHeader), ".")
	unix, err := strconv.ParseInt(at, 10, 64)
	if err != nil || now.Sub(time.Unix(unix, 0)).Abs() > selfSkew {
		return false
	}
	got, err := hex.DecodeString(sum)
	return err == nil && hmac.Equal(got, selfSum(secret, at))
}

// Descriptors returns how many descriptors this process may have, and for how many
// connections they are enough beside databases and the rest; 0 if that is unknown.
func Descriptors() (files, connections int) {
	files = maxFiles()
	return files, max(0, files-filesReserved)
}

// tellSelf answers requests for SelfPath that have a proof.
func (s *Server) tellSelf(g *guests, from clientaddr.Proxies, next http.Handler) http.Handler {
	origins := origin.New(s.cfg.Origins, nil)
	started := time.Now()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path+"/", SelfPath+"/") || !selfProven(r, s.secret, time.Now()) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		if r.URL.Query().Has("stream") {
			twoEvents(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		self := s.self(r, g, from, &origins)
		self.Started = started.UnixMilli()
		if r.URL.EscapedPath() == SelfPath && len(self.Forwarded) == 0 { // by doctor on this machine
			self.Inside = s.inside(r.Context())
		}
		_ = json.NewEncoder(w).Encode(self) // fails only if the client has gone
	})
}

func (s *Server) self(r *http.Request, g *guests, from clientaddr.Proxies, origins *origin.Policy) *Self {
	self := &Self{
		Version: s.version, Now: time.Now().UnixMilli(), Settings: settingsOf(s.cfg),
		Path: r.URL.EscapedPath(), Host: r.Host, Peer: clientaddr.Peer(r).String(), Client: from.Client(r).String(),
		Trusted:   from.Trust(clientaddr.Peer(r)),
		Forwarded: []string{}, OriginAllowed: origins.Allow(r),
	}
	self.Files, self.Connections = Descriptors()
	var err error
	if self.Down, err = s.ready(); err != nil {
		self.Ready = err.Error()
	}
	if err := g.reason(r); err != nil {
		self.NoGuest = err.Error()
	}
	for name := range r.Header {
		if clientaddr.Forwarded(http.Header{name: nil}) {
			self.Forwarded = append(self.Forwarded, name)
		}
	}
	return self
}

func settingsOf(cfg *config.Config) map[string]string {
	all := map[string]string{}
	for _, s := range cfg.Settings() {
		all[s.Key] = s.Text()
	}
	return all
}

// twoEvents is an event stream, with the header of those of the API, by which a proxy
// shows whether it passes on what comes, or waits for more.
func twoEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store, no-transform")
	w.Header().Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	for _, event := range []string{"begin", "end"} {
		if _, err := w.Write([]byte("data: " + event + "\n\n")); err != nil || out.Flush() != nil {
			return // the client has gone
		}
		if event == "end" {
			return
		}
		wait, cancel := context.WithTimeout(r.Context(), SelfPause)
		<-wait.Done()
		cancel()
	}
}
