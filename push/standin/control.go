package standin

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// control has the paths by which a stand-in that runs alone is told what to do:
//
//	POST /standin/answers        an Answer: how the next requests are answered
//	POST /standin/targets        {"service": …, "environment": …, "key": …}: a new target
//	DELETE /standin/targets/ID   the target is gone
//	GET /standin/notifications   what was taken
//	GET /standin/refused         why requests were refused
func (s *Server) control(mux *http.ServeMux) {
	mux.HandleFunc("POST /standin/answers", s.scriptOver)
	mux.HandleFunc("POST /standin/targets", s.targetOver)
	mux.HandleFunc("DELETE /standin/targets/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.Remove(r.PathValue("id"), s.cfg.Now().Add(-time.Second))
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /standin/notifications", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Notifications()) })
	mux.HandleFunc("GET /standin/refused", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Refused()) })
}

func (s *Server) scriptOver(w http.ResponseWriter, r *http.Request) {
	text, fits := body(r, 4096)
	var a Answer
	known := json.Unmarshal(text, &a) == nil && slices.Contains([]string{FCM, APNs, WebPush, Token}, a.Service) &&
		slices.Contains([]string{"", DoReset, DoSilence, DoGoAway, DoFlood, DoRedirect, DoGarbage}, a.Do) &&
		(a.Status == 0 || (a.Status >= 200 && a.Status <= 599))
	if !fits || !known {
		http.Error(w, `an answer is {"service": "fcm", "apns", "webpush" or "token", "times": …, "status": 200 to 599, "reason": …, "retry_after": …, "do": "reset", "silence", "goaway", "flood", "redirect" or "garbage"}`, http.StatusBadRequest)
		return
	}
	s.Script(a)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) targetOver(w http.ResponseWriter, r *http.Request) {
	text, fits := body(r, 4096)
	var q struct{ Service, Environment, Key string }
	address, err := "", json.Unmarshal(text, &q)
	if err == nil && fits {
		switch q.Service {
		case FCM:
			address, _ = s.NewFCM()
		case APNs:
			if q.Environment == "" {
				q.Environment = "production"
			}
			address, _ = s.NewAPNs(q.Environment)
		case WebPush:
			address, _, err = s.NewWebPush(q.Key)
		}
	}
	if err != nil || address == "" {
		http.Error(w, `a target is {"service": "fcm", "apns" or "webpush", "environment": "sandbox", "key": VAPID public key}`, http.StatusBadRequest)
		return
	}
	writeJSON(w, http.StatusOK, json.RawMessage(address))
}
