package engineio

import (
	"net/http"
	"net/url"
	"strings"
)

// query is what a request says about itself.
type query struct {
	version   int // 3 or 4; 0 is something else
	transport string
	sid       string
	base64    bool   // protocol 3: no binary payloads, please
	jsonp     string // protocol 3: the number of the callback
}

func parseQuery(raw string) (query, *refusal) {
	v, err := url.ParseQuery(raw)
	if err != nil {
		return query{}, badRequest
	}
	for _, name := range []string{"EIO", "transport", "sid", "j"} {
		if len(v[name]) > 1 {
			return query{}, badRequest
		}
	}
	q := query{transport: v.Get("transport"), sid: v.Get("sid")}
	switch v.Get("EIO") {
	case "4":
		q.version = 4
	case "3":
		q.version = 3
		q.base64 = v.Get("b64") != ""
		if v.Has("j") {
			if q.jsonp = jsonpIndex(v.Get("j")); q.jsonp == "" {
				return query{}, badRequest
			}
		}
	}
	return q, nil
}

// admit decides whether the page that asks may have a session.
func (s *Server) admit(r *http.Request, q query) *refusal {
	if q.jsonp != "" && !s.mayScript(r) {
		return foreignPage
	}
	if s.opts.Check != nil {
		if err := s.opts.Check(r); err != nil {
			return refusalOf(err)
		}
		return nil
	}
	if origin := r.Header.Get("Origin"); origin != "" && !sameHost(origin, r.Host) && !s.allows(origin) {
		return foreignPage
	}
	return nil
}

// mayScript reports whether a page may load an answer as a script. Requests of
// scripts have no Origin. Browsers that can do without JSONP say whether the
// page is of another site; the others are believed.
func (s *Server) mayScript(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	}
	u, err := url.Parse(r.Header.Get("Referer"))
	return err == nil && u.Host != "" && s.allows(u.Scheme+"://"+u.Host)
}

// sameHost compares hosts only: behind a proxy the scheme is not known.
func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// allows reports whether CORS lets pages of the origin read answers.
func (s *Server) allows(origin string) bool { return s.opts.CORS != nil && s.opts.CORS(origin) }

// cors sets the fields that let a browser hand the answer to a page.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) (allowed bool) {
	if s.opts.CORS == nil {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !s.opts.CORS(origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true") // clients of protocol 3 always ask with credentials
	return true
}

// preflight answers what a browser asks before a request of another origin.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	if fields := r.Header.Get("Access-Control-Request-Headers"); fields != "" {
		h.Set("Access-Control-Allow-Headers", fields)
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
