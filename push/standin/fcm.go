package standin

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	firebaseScope = "https://www.googleapis.com/auth/firebase.messaging"
	accessLife    = time.Hour
	fcmLimit      = 4096
)

// token is Google's OAuth: an assertion of the service account for an access token.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, reason string) {
		if reason == "" {
			reason = map[int]string{400: "invalid_grant", 401: "invalid_client", 403: "access_denied"}[status]
		}
		writeJSON(w, status, map[string]string{"error": reason, "error_description": "Invalid JWT: demanded or deserved."})
	}
	if reason := s.checkAssertion(r); reason != "" {
		s.refuse(Token, reason)
		fail(http.StatusBadRequest, "invalid_grant")
		return
	}
	if a, ok := s.scripted(Token); ok && s.perform(w, r, a, fail) {
		return
	}
	access := "ya29." + random(40)
	s.mu.Lock()
	s.access[access] = s.cfg.Now().Add(accessLife)
	s.count[Token]++
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"access_token": access, "expires_in": int(accessLife/time.Second) - 1, "token_type": "Bearer"})
}

// checkAssertion returns what is wrong with the request of a token.
func (s *Server) checkAssertion(r *http.Request) string {
	r.Body = http.MaxBytesReader(nil, r.Body, 16<<10)
	if r.ParseForm() != nil || r.PostForm.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return "the grant type is not jwt-bearer"
	}
	claims := jwt.MapClaims{}
	token, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(s.cfg.Now), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithIssuer(accountEmail), jwt.WithAudience(s.url+"/token")).
		ParseWithClaims(r.PostForm.Get("assertion"), claims, func(*jwt.Token) (any, error) { return &s.material.accountKey.PublicKey, nil })
	if err != nil {
		return "the assertion: " + err.Error()
	}
	issued, _ := claims.GetIssuedAt()
	expires, _ := claims.GetExpirationTime() // both were parsed
	switch {
	case token.Header["kid"] != accountKeyID:
		return "the assertion has another kid"
	case !strings.Contains(" "+asString(claims["scope"])+" ", " "+firebaseScope+" "):
		return "the assertion is not for messages"
	case issued == nil || expires.Sub(issued.Time) > time.Hour:
		return "the assertion is for more than an hour"
	}
	return ""
}

func asString(v any) string { text, _ := v.(string); return text }

// fcm is messages:send.
func (s *Server) fcm(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, reason string) { failFCM(w, status, reason, "") }
	s.mu.Lock()
	ends, known := s.access[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	s.mu.Unlock()
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/v1/projects/"+Project+"/messages:send":
		s.refuse(FCM, "no such project or method: "+r.Method+" "+r.URL.Path)
		fail(http.StatusNotFound, "NOT_FOUND")
		return
	case !known || !s.cfg.Now().Before(ends):
		s.refuse(FCM, "no access token, or one that has ended")
		fail(http.StatusUnauthorized, "UNAUTHENTICATED")
		return
	}
	text, ok := body(r, 64<<10)
	target, field, reason := checkMessage(text)
	if !ok {
		field, reason = "message", "too large"
	}
	if reason != "" {
		s.refuse(FCM, field+": "+reason)
		failFCM(w, http.StatusBadRequest, "INVALID_ARGUMENT", field)
		return
	}
	if a, ok := s.scripted(FCM); ok && s.perform(w, r, a, fail) {
		return
	}
	switch d := s.device(target); {
	case d == nil || d.service != FCM:
		failFCM(w, http.StatusBadRequest, "INVALID_ARGUMENT", "message.token")
		return
	case !d.gone.IsZero():
		fail(http.StatusNotFound, "UNREGISTERED")
		return
	}
	s.take(r, Notification{Service: FCM, Target: target, Payload: string(text)})
	writeJSON(w, http.StatusOK, map[string]string{"name": "projects/" + Project + "/messages/0:" + random(12)})
}

// fcmMessage is what FCM reads, as far as a sender of notifications needs it; everything
// else is unknown, and refused.
type fcmMessage struct {
	Message *struct {
		Token        string            `json:"token"`
		FID          string            `json:"fid"`
		Data         map[string]string `json:"data"`
		Notification *struct {
			Title string `json:"title"`
			Body  string `json:"body"`
		} `json:"notification"`
		Android *struct {
			Collapse     string `json:"collapse_key"`
			Priority     string `json:"priority"`
			TTL          string `json:"ttl"`
			Notification *struct {
				Tag   string `json:"tag"`
				Count *int   `json:"notification_count"`
			} `json:"notification"`
		} `json:"android"`
		APNS *struct {
			Headers map[string]string          `json:"headers"`
			Payload map[string]json.RawMessage `json:"payload"`
		} `json:"apns"`
	} `json:"message"`
}

var duration = regexp.MustCompile(`^\d{1,7}(\.\d{1,9})?s$`)

// checkMessage returns the target, or which field is wrong and how.
func checkMessage(text []byte) (target, field, reason string) {
	var m fcmMessage
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil || m.Message == nil {
		return "", "message", "not a message"
	}
	size := 0
	for k, v := range m.Message.Data {
		if size += len(k) + len(v); k == "from" || k == "message_type" || strings.HasPrefix(k, "google") || strings.HasPrefix(k, "gcm") {
			return "", "message.data", "a key that is reserved"
		}
	}
	if n := m.Message.Notification; n != nil {
		size += len(n.Title) + len(n.Body)
	}
	a := m.Message.Android
	switch {
	case (m.Message.Token == "") == (m.Message.FID == ""):
		return "", "message", "one target"
	case size > fcmLimit:
		return "", "message", "too large"
	case a != nil && a.TTL != "" && !duration.MatchString(a.TTL):
		return "", "message.android.ttl", "not a duration"
	case a != nil && a.Priority != "" && a.Priority != "NORMAL" && a.Priority != "HIGH":
		return "", "message.android.priority", "neither NORMAL nor HIGH"
	case m.Message.APNS != nil && m.Message.APNS.Payload["aps"] == nil:
		return "", "message.apns.payload", "no aps"
	}
	return m.Message.Token + m.Message.FID, "", ""
}

var fcmReasons = map[int]string{
	400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "SENDER_ID_MISMATCH", 404: "UNREGISTERED",
	429: "QUOTA_EXCEEDED", 500: "INTERNAL", 503: "UNAVAILABLE",
}

// fcmStatus is google.rpc.Code's name of an HTTP status.
var fcmStatus = map[int]string{
	400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
	429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}

// failFCM writes an error: of FCM if the reason is one of its codes, else of the gateway.
func failFCM(w http.ResponseWriter, status int, reason, field string) {
	if reason == "" {
		reason = fcmReasons[status]
	}
	details := []any{}
	switch reason {
	case "", "UNAUTHENTICATED", "NOT_FOUND", "PERMISSION_DENIED":
	default:
		details = append(details, map[string]string{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": reason})
	}
	if field != "" {
		details = append(details, map[string]any{
			"@type":           "type.googleapis.com/google.rpc.BadRequest",
			"fieldViolations": []any{map[string]string{"field": field, "description": "Invalid value"}},
		})
	}
	writeJSON(w, status, map[string]any{"error": map[string]any{
		"code": status, "message": "The request failed.", "status": fcmStatus[status], "details": details,
	}})
}
