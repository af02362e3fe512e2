package config

import (
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// longestHook is how long a sender waits for before_message at most.
const longestHook = 10 * time.Second

// HookNetworks are the networks of webhooks.allow. Check has found them to be good.
func (c *Config) HookNetworks() []netip.Prefix {
	var nets []netip.Prefix
	for _, s := range c.Hooks.Allow {
		if p, err := parseNetwork(s); err == nil {
			nets = append(nets, p)
		}
	}
	return nets
}

func (c *Config) checkHooks() Problems {
	var ps Problems
	h := &c.Hooks
	for _, s := range h.Allow {
		if _, err := parseNetwork(s); err != nil {
			ps = append(ps, Problem{"webhooks.allow", strconv.Quote(s) + " is no address and no network", "write 10.1.2.3 or 10.1.0.0/16"})
		}
	}
	for _, d := range []struct {
		key  string
		v    Duration
		none bool // 0 makes sense
	}{{"timeout", h.Timeout, false}, {"retry_for", h.RetryFor, false}, {"history", h.History, true}} {
		if d.v < 0 || d.v == 0 && !d.none {
			ps = append(ps, Problem{"webhooks." + d.key, d.v.String() + " is no time to wait", "write a duration such as 15s or 72h"})
		}
	}
	if d := time.Duration(h.OfflineAfter); d < time.Second || d > time.Hour {
		ps = append(ps, Problem{"webhooks.offline_after", h.OfflineAfter.String() + " is no time in which a user may come back", "write a duration from 1s to 1h"})
	}
	return append(ps, h.checkBefore()...)
}

func (h *Hooks) checkBefore() Problems {
	var ps Problems
	if h.BeforeMessage == "" {
		return nil
	}
	u, err := url.Parse(h.BeforeMessage)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		ps = append(ps, Problem{"webhooks.before_message", "it is not a URL", "write one such as https://www.example.org/hooks/before"})
	case u.Scheme == "http" && !h.BeforeMessageInsecure:
		ps = append(ps, Problem{"webhooks.before_message", "it is not https: messages could be read on the way",
			"write https, or set webhooks.before_message_insecure where that is no harm, as on one machine"})
	}
	if h.BeforeMessageFailure == "unset" {
		ps = append(ps, Problem{"webhooks.before_message_failure", "nothing says what becomes of messages while before_message does not answer",
			"write open (they are stored as they are) or closed (they are refused)"})
	}
	if h.BeforeMessageSecretFile == "" {
		ps = append(ps, Problem{"webhooks.before_message_secret_file", "before_message has no secret to sign with", "write one into a file, and name it: whsec_ and the base64 of 24 to 64 bytes"})
	}
	if d := time.Duration(h.BeforeMessageTimeout); d <= 0 || d > longestHook {
		ps = append(ps, Problem{"webhooks.before_message_timeout", h.BeforeMessageTimeout.String() + " is too long for a sender to wait, or no time at all", "write a duration up to 10s"})
	}
	return ps
}
