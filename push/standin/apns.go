package standin

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const (
	providerLife  = time.Hour        // of a provider token
	providerEvery = 20 * time.Minute // a new one no sooner
	apnsLimit     = 4096
)

// apns is a request to APNs in an environment.
func (s *Server) apns(w http.ResponseWriter, r *http.Request, environment string) {
	c := connOf(r)
	if r.ProtoMajor != 2 {
		s.refuse(APNs, "not HTTP/2")
		c.reset()
		return
	}
	alone := c.enter(s)
	defer c.leave()
	if !alone {
		s.refuse(APNs, "a second stream before the first valid token")
		panic(http.ErrAbortHandler) // resets the stream
	}
	id := r.Header.Get("Apns-Id")
	if id == "" {
		id = uuid.NewString()
	}
	w.Header().Set("Apns-Id", id)
	fail := func(status int, reason string) { failAPNs(w, status, reason, s.cfg.Now()) }
	status, reason := s.checkProvider(r)
	if status == 0 {
		c.prove()
	}
	target := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/sandbox"), "/3/device/")
	text, fits := body(r, apnsLimit)
	if status == 0 {
		status, reason = checkAPNs(r, target, text, fits)
	}
	if status != 0 {
		s.refuse(APNs, reason)
		fail(status, reason)
		return
	}
	if a, ok := s.scripted(APNs); ok && s.perform(w, r, a, fail) {
		return
	}
	switch d := s.device(target); {
	case d == nil || d.service != APNs || d.of != environment:
		fail(http.StatusBadRequest, "BadDeviceToken")
		return
	case !d.gone.IsZero():
		failAPNs(w, http.StatusGone, "Unregistered", d.gone)
		return
	}
	s.take(r, Notification{Service: APNs, Target: target, Payload: string(text)})
}

// enter counts a request; false if it is one too many.
func (c *connection) enter(s *Server) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.counted {
		c.counted = true
		s.mu.Lock()
		s.connections++
		s.mu.Unlock()
	}
	c.running++
	return c.proven || c.running == 1
}

func (c *connection) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
}

func (c *connection) prove() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proven = true
}

// checkProvider checks the provider token.
func (s *Server) checkProvider(r *http.Request) (status int, reason string) {
	text, found := strings.CutPrefix(r.Header.Get("Authorization"), "bearer ")
	if !found || text == "" {
		return http.StatusForbidden, "MissingProviderToken"
	}
	claims, reason := s.verifyProvider(text)
	if reason != "" {
		return http.StatusForbidden, reason
	}
	now := s.cfg.Now()
	issued, err := claims.GetIssuedAt()
	if err != nil || issued == nil || issued.After(now.Add(time.Minute)) {
		return http.StatusForbidden, "InvalidProviderToken"
	}
	if now.Sub(issued.Time) > providerLife {
		return http.StatusForbidden, "ExpiredProviderToken"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if text != s.provider {
		if s.provider != "" && now.Sub(s.providerMade) < providerEvery {
			return http.StatusTooManyRequests, "TooManyProviderTokenUpdates"
		}
		s.provider, s.providerMade = text, now
	}
	return 0, ""
}

// verifyProvider checks a signature once, and remembers that it is good.
func (s *Server) verifyProvider(text string) (jwt.MapClaims, string) {
	s.mu.Lock()
	claims, ok := s.verified.Get(text)
	s.mu.Unlock()
	if ok {
		return claims, ""
	}
	claims = jwt.MapClaims{}
	token, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithoutClaimsValidation()).
		ParseWithClaims(text, claims, func(*jwt.Token) (any, error) { return &s.material.apnsKey.PublicKey, nil })
	if err != nil || token.Header["kid"] != KeyID || claims["iss"] != TeamID {
		return nil, "InvalidProviderToken"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verified.Put(text, claims)
	return claims, ""
}

var pushTypes = []string{"alert", "background", "complication", "controls", "fileprovider", "liveactivity", "location", "mdm", "pushtotalk", "voip", "widgets"}

// checkAPNs checks everything else.
func checkAPNs(r *http.Request, target string, text []byte, fits bool) (status int, reason string) {
	h := r.Header
	bad := func(reason string) (int, string) { return http.StatusBadRequest, reason }
	for name, values := range h {
		if strings.HasPrefix(name, "Apns-") && len(values) > 1 {
			return bad("DuplicateHeaders")
		}
	}
	raw, err := hex.DecodeString(target)
	var p struct {
		APS map[string]json.RawMessage `json:"aps"`
	}
	priority, kind := h.Get("Apns-Priority"), h.Get("Apns-Push-Type")
	_, badID := uuid.Parse(h.Get("Apns-Id"))
	_, badTime := strconv.ParseInt(h.Get("Apns-Expiration"), 10, 64)
	switch {
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, "MethodNotAllowed"
	case target == "":
		return bad("MissingDeviceToken")
	case strings.Contains(target, "/"):
		return http.StatusNotFound, "BadPath"
	case err != nil || len(raw) < 32:
		return bad("BadDeviceToken")
	case h.Get("Apns-Topic") == "":
		return bad("MissingTopic")
	case h.Get("Apns-Topic") != Topic:
		return bad("TopicDisallowed")
	case !slices.Contains(pushTypes, kind):
		return bad("InvalidPushType")
	case !slices.Contains([]string{"", "1", "5", "10"}, priority), kind == "background" && priority != "5":
		return bad("BadPriority")
	case h.Get("Apns-Id") != "" && badID != nil:
		return bad("BadMessageId")
	case h.Get("Apns-Expiration") != "" && badTime != nil:
		return bad("BadExpirationDate")
	case len(h.Get("Apns-Collapse-Id")) > 64:
		return bad("BadCollapseId")
	case !fits:
		return http.StatusRequestEntityTooLarge, "PayloadTooLarge"
	case json.Unmarshal(text, &p) != nil || len(p.APS) == 0:
		return bad("PayloadEmpty")
	case kind == "background" && (len(p.APS) != 1 || string(p.APS["content-available"]) != "1"):
		return bad("InvalidPushType")
	}
	return 0, ""
}

var apnsReasons = map[int]string{
	400: "BadDeviceToken", 403: "InvalidProviderToken", 404: "BadPath", 405: "MethodNotAllowed", 410: "Unregistered",
	413: "PayloadTooLarge", 429: "TooManyRequests", 500: "InternalServerError", 503: "ServiceUnavailable",
}

// failAPNs writes an error; since is of a 410.
func failAPNs(w http.ResponseWriter, status int, reason string, since time.Time) {
	if reason == "" {
		reason = apnsReasons[status]
	}
	answer := map[string]any{"reason": reason}
	if status == http.StatusGone {
		answer["timestamp"] = since.UnixMilli()
	}
	writeJSON(w, status, answer)
}
