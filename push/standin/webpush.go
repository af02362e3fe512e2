package standin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomtide/roomtide/internal/ece"
)

var topic = regexp.MustCompile(`^[A-Za-z0-9_-]{0,32}$`)

// webPush is a request to an endpoint.
func (s *Server) webPush(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, "/push/")
	fail := func(status int, reason string) {
		if reason == "" {
			reason = http.StatusText(status)
		}
		writeJSON(w, status, map[string]any{"code": status, "reason": reason})
	}
	d := s.device(id)
	if d == nil || d.service != WebPush {
		fail(http.StatusNotFound, "")
		return
	}
	to := d.of.(*subscriber)
	message, fits := body(r, ece.RecordSize)
	status, reason := s.checkWebPush(r, to, fits)
	if status != 0 {
		s.refuse(WebPush, reason)
		fail(status, reason)
		return
	}
	if a, ok := s.scripted(WebPush); ok && s.perform(w, r, a, fail) {
		return
	}
	if !d.gone.IsZero() {
		fail(http.StatusGone, "")
		return
	}
	// A real service cannot do that. A browser would drop the message without a word.
	text, err := ece.Open(message, to.key, to.auth)
	if err != nil {
		s.refuse(WebPush, "the message cannot be decrypted by the subscriber")
		fail(http.StatusBadRequest, "encryption")
		return
	}
	s.take(r, Notification{Service: WebPush, Target: id, Payload: string(text)})
	w.Header().Set("Location", s.url+"/message/"+random(9))
	w.WriteHeader(http.StatusCreated)
}

func (s *Server) checkWebPush(r *http.Request, to *subscriber, fits bool) (status int, reason string) {
	h := r.Header
	ttl, err := strconv.ParseInt(h.Get("TTL"), 10, 64)
	switch {
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, "the method is not POST"
	case err != nil || ttl < 0:
		return http.StatusBadRequest, "no TTL"
	case h.Get("Content-Encoding") != "aes128gcm":
		return http.StatusUnsupportedMediaType, "the content encoding is not aes128gcm"
	case !slices.Contains([]string{"", "very-low", "low", "normal", "high"}, h.Get("Urgency")):
		return http.StatusBadRequest, "no such urgency"
	case !topic.MatchString(h.Get("Topic")):
		return http.StatusBadRequest, "the topic is not up to 32 characters of base64url"
	case !fits:
		return http.StatusRequestEntityTooLarge, "more than 4096 bytes"
	}
	return s.checkVAPID(h.Get("Authorization"), to)
}

// checkVAPID checks the token that identifies the sender, RFC 8292.
func (s *Server) checkVAPID(authorization string, to *subscriber) (status int, reason string) {
	params, found := strings.CutPrefix(authorization, "vapid ")
	if !found {
		return http.StatusUnauthorized, "no vapid authorization"
	}
	values := map[string]string{}
	for p := range strings.SplitSeq(params, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		values[k] = strings.Trim(v, `"`)
	}
	if to.sender != "" && values["k"] != to.sender {
		return http.StatusForbidden, "the subscription was made for another key"
	}
	claims, reason := s.verifyVAPID(values["t"], values["k"])
	if reason != "" {
		return http.StatusForbidden, reason
	}
	now := s.cfg.Now()
	audience, _ := claims.GetAudience()
	expires, err := claims.GetExpirationTime()
	u, _ := url.Parse(asString(claims["sub"]))
	switch {
	case len(audience) != 1 || audience[0] != s.url:
		return http.StatusForbidden, "the token is for another audience"
	case err != nil || expires == nil || !now.Before(expires.Time):
		return http.StatusForbidden, "the token has ended"
	case expires.Sub(now) > 24*time.Hour:
		return http.StatusForbidden, "the token lasts for more than a day"
	case u == nil || (u.Scheme != "mailto" && u.Scheme != "https"):
		return http.StatusForbidden, "the token has no subject"
	}
	return 0, ""
}

// verifyVAPID checks a signature once, and remembers that it is good.
func (s *Server) verifyVAPID(text, key string) (jwt.MapClaims, string) {
	s.mu.Lock()
	claims, ok := s.verified.Get(text + key)
	s.mu.Unlock()
	if ok {
		return claims, ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil {
		return nil, "the key is not base64url"
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		return nil, "the key is not of P-256"
	}
	claims = jwt.MapClaims{}
	if _, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithoutClaimsValidation()).
		ParseWithClaims(text, claims, func(*jwt.Token) (any, error) { return public, nil }); err != nil {
		return nil, "the signature of the token is wrong"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verified.Put(text+key, claims)
	return claims, ""
}
