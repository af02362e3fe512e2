package doctor

import (
	"bufio"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/server"
	"github.com/roomtide/roomtide/websocket"
)

const certificateSoon = 14 * 24 * time.Hour

// way goes to the node as a browser does, under its public address, and compares what
// arrives there with what was sent.
func (e *examination) way() {
	if e.URL == "" {
		return
	}
	base, err := client.HTTP(e.URL)
	if err != nil {
		e.add(Fail, "url", err.Error(), "give the address that browsers have, such as https://www.example.org/chat")
		return
	}
	u, err := url.Parse(base)
	if err != nil {
		e.add(Fail, "url", err.Error(), "give the address that browsers have, such as https://www.example.org/chat")
		return
	}
	own := u.Scheme + "://" + u.Host
	self, resp, err := e.ask(e.HTTP, base, server.SelfPath, http.Header{"Origin": {own}})
	if err != nil {
		e.noWay(base, err)
		return
	}
	e.ok("reached", "%s leads to this node", base)
	e.certificate(u, resp)
	e.host(u, self)
	e.proxy(self)
	e.guests(base, self)
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil && time.Since(date).Abs() > clockSkew {
		e.add(Warn, "clock", fmt.Sprintf("the clock there differs from the clock here by %s", time.Since(date).Abs().Round(time.Second)), "let both take their time from the network (NTP)")
	}
	e.path(base)
	e.webSocket(base, own)
	e.stream(base)
}

func (e *examination) noWay(base string, err error) {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &name), errors.As(err, &invalid), errors.As(err, &unknown):
		e.add(Fail, "certificate", base+": "+err.Error(), "browsers refuse it too: give the proxy, or tls.cert, a certificate for this name")
	case errors.Is(err, errNoProof):
		e.add(Fail, "reached", err.Error(), "")
	case errors.Is(err, errNotOurs):
		e.add(Fail, "reached", base+": "+err.Error(), "let the proxy pass on what is below this address, with the path "+server.SelfPath+
			" behind it (docs/proxies.md), and start the node; 502 and 503 come from a proxy that cannot reach the node")
	default:
		e.add(Fail, "reached", base+": "+err.Error(), "check that the name leads to the proxy or node, that it runs, and that no firewall is between")
	}
}

func (e *examination) certificate(u *url.URL, resp *http.Response) {
	if u.Scheme != "https" {
		if !localName(u.Host) {
			e.add(Warn, "tls", "tokens and messages can be read on the way to "+u.Host, "use https")
		}
		return
	}
	if resp.TLS == nil || len(resp.TLS.PeerCertificates) == 0 {
		return
	}
	e.until("certificate", resp.TLS.PeerCertificates[0])
}

// until tells how long a certificate is good.
func (e *examination) until(check string, c *x509.Certificate) {
	const renew = "renew it: nodes read the new files by themselves"
	switch left := time.Until(c.NotAfter); {
	case left < 0:
		e.add(Fail, check, "it has ended on "+c.NotAfter.Local().Format(time.DateTime), renew)
	case left < certificateSoon:
		e.add(Warn, check, "it ends on "+c.NotAfter.Local().Format(time.DateTime), renew)
	default:
		e.ok(check, "good until %s", c.NotAfter.Local().Format(time.DateOnly))
	}
}

// host looks at the Host header, by which pages of the public address are allowed.
func (e *examination) host(u *url.URL, self *server.Self) {
	switch {
	case !self.OriginAllowed:
		e.add(Fail, "origin", fmt.Sprintf("pages of %s://%s are refused: the node is asked for the host %q", u.Scheme, u.Host, self.Host),
			"let the proxy pass on the Host header (nginx: proxy_set_header Host $http_host; Apache: ProxyPreserveHost On), or add the address to origins")
	case !strings.EqualFold(self.Host, u.Host):
		e.ok("origin", "pages of %s://%s may connect, by the setting origins (the proxy passes on the host %q)", u.Scheme, u.Host, self.Host)
	default:
		e.ok("origin", "pages of %s://%s may connect", u.Scheme, u.Host)
	}
}

// path looks whether the path of a request arrives as it was sent.
func (e *examination) path(base string) {
	const encoded = "/a%2Fb"
	self, _, err := e.ask(e.HTTP, base, server.SelfPath+encoded, nil)
	if err == nil && strings.HasSuffix(self.Path, encoded) {
		e.ok("path", "paths arrive as they are sent")
		return
	}
	e.add(Warn, "path", "the proxy changes %2F in a path: rooms whose id has a slash are not found", "let it pass on the path as it was sent (nginx: $request_uri; Apache: AllowEncodedSlashes NoDecode and nocanon)")
}

// prefix is the network of one address.
func prefix(address string) string {
	if strings.Contains(address, ":") {
		return address + "/128"
	}
	return address + "/32"
}

// proxy compares for whom the node takes the client with what a proxy says.
func (e *examination) proxy(self *server.Self) {
	via := len(self.Forwarded) > 0
	forwardedFor := slices.Contains(self.Forwarded, "X-Forwarded-For")
	switch {
	case !via && self.Trusted:
		e.add(Fail, "proxy", "the proxy at "+self.Peer+" does not say for whom it asks: all clients count as one", "let it send X-Forwarded-For (nginx: proxy_set_header X-Forwarded-For $remote_addr)")
	case !via:
		e.ok("proxy", "none: the node sees the address %s", self.Client)
	case !self.Trusted && self.Settings["trusted_proxies"] == "[]":
		e.add(Fail, "proxy", "the proxy at "+self.Peer+" is not trusted: limits and logs count all clients as it", fmt.Sprintf("set trusted_proxies = [%q]", prefix(self.Peer)))
	case !self.Trusted:
		e.add(Fail, "proxy", "the proxy at "+self.Peer+" is not one of trusted_proxies: limits and logs count all clients as it", fmt.Sprintf("add %q to trusted_proxies", prefix(self.Peer)))
	case !forwardedFor:
		e.add(Fail, "proxy", fmt.Sprintf("the proxy at %s sends %s, but not X-Forwarded-For: all clients count as it", self.Peer, strings.Join(self.Forwarded, ", ")),
			"let it send X-Forwarded-For (nginx: proxy_set_header X-Forwarded-For $remote_addr)")
	default:
		e.ok("proxy", "the proxy at %s is trusted, and says that the client is %s", self.Peer, self.Client)
	}
}

// guests tells whether strangers come in without a token.
func (e *examination) guests(base string, self *server.Self) {
	switch {
	case self.NoGuest != "":
		e.ok("guests", "clients need a token")
	case localName(strings.TrimPrefix(base, "http://")) && len(self.Forwarded) == 0:
		e.ok("guests", "clients on this machine may come without a token")
	case self.Settings["guests"] == `"on"`:
		e.add(Warn, "guests", "anyone who reaches "+base+" can write under any name", "set guests = \"off\", unless that is meant")
	default:
		e.add(Fail, "guests", "anyone who reaches "+base+" can write under any name, though guests are meant for this machine alone", "set guests = \"off\"")
	}
}

// webSocket connects as a page of the address does.
func (e *examination) webSocket(base, origin string) {
	dialer := &websocket.Dialer{}
	if t, ok := e.HTTP.Transport.(*http.Transport); ok {
		dialer.TLS = t.TLSClientConfig.Clone()
	}
	ws, err := dialer.Dial(e.ctx, "ws"+strings.TrimPrefix(base, "http")+"/ws", http.Header{"Origin": {origin}})
	if err != nil {
		e.add(Fail, "websocket", "no WebSocket gets through: "+err.Error(), "let the proxy pass on the upgrade (nginx: proxy_http_version 1.1, Upgrade and Connection; docs/proxies.md has it for others)")
		return
	}
	_ = ws.NetConn().Close() // nothing was said on it
	e.ok("websocket", "WebSockets get through")
}

// stream looks whether an event arrives before the next one is sent.
func (e *examination) stream(base string) {
	begin := time.Now()
	resp, err := e.get(e.HTTP, base+server.SelfPath+"?stream", nil)
	if err != nil {
		e.add(Fail, "event stream", err.Error(), "the log of the proxy says why")
		return
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	switch {
	case err != nil || !strings.HasPrefix(line, "data: begin"):
		e.add(Fail, "event stream", "it breaks off", "the log of the proxy says why")
	case time.Since(begin) >= server.SelfPause:
		e.add(Warn, "event stream", "the proxy holds events back: clients of Server-Sent Events and Socket.IO polling get them late", "switch its buffering off (nginx: do not ignore X-Accel-Buffering; Apache: flushpackets=on)")
	default:
		e.ok("event stream", "events arrive as they are sent")
	}
}
