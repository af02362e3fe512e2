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

// checkOrigin judges the page that makes the request.
func (s *Server) checkOrigin(r *http.Request) *refusal {
	if s.opts.CheckOrigin != nil {
		if err := s.opts.CheckOrigin(r); err != nil {
			return refusalOf(err)
		}
		return nil
	}
	for _, origin := range r.Header["Origin"] {
		if !sameHost(origin, r.Host) && !s.allows(origin) {
			return foreignPage
		}
	}
	return nil
}

// mayScript reports whether a page may load an answer as a script. Requests of
// scripts have no Origin. A browser says in Sec-Fetch-Site whether the page is of
// another site, or at least in Referer which page it is; one that says neither is
// believed.
func (s *Server) mayScript(r *http.Request) bool {
	referer := r.Header.Get("Referer")
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return true
	case "":
		if referer == "" || sameHost(referer, r.Host) {
			return true
		}
	}
	u, err := url.Parse(referer)
	return err == nil && u.Host != "" && s.allows(u.Scheme+"://"+u.Host)
}

// sameHost compares hosts only: behind a proxy the scheme is not known.
func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// allows reports whether CORS lets pages of the origin read answers.
func (s *Server) allows(origin string) bool { return s.opts.OpenCORS || s.knows(origin) }

// knows reports whether the origin is allowed by name.
func (s *Server) knows(origin string) bool { return s.opts.CORS != nil && s.opts.CORS(origin) }

// cors sets the fields that let a browser hand the answer to a page.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) (allowed bool) {
	if s.opts.CORS == nil && !s.opts.OpenCORS {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	switch {
	case origin == "":
		return false
	case s.knows(origin):
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true") // clients of protocol 3 always ask with credentials
	case s.opts.OpenCORS:
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		return false
	}
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
