package config

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"time"
)

// Push says which push services are used, and when members who are away are told.
type Push struct {
	FCMAccountFile string `toml:"fcm_account_file" name:"fcm-account-file" placeholder:"FILE" default:"" help:"Service account file (JSON) of the Firebase project whose apps are pushed to. Empty: FCM is not used."`
	FCMURL         string `toml:"fcm_url" name:"fcm-url" default:"" mask:"url" help:"URL of FCM, where it is not Google's: a stand-in, a relay. The account file says where access tokens come from."`

	APNsKeyFile    string   `toml:"apns_key_file" name:"apns-key-file" placeholder:"FILE" default:"" help:"Key for APNs (.p8) of your team of Apple developers. Empty: APNs is not used."`
	APNsKeyID      string   `toml:"apns_key_id" name:"apns-key-id" default:"" help:"Id of that key: ten characters, which stand in the name of the file, AuthKey_ID.p8."`
	APNsTeam       string   `toml:"apns_team" name:"apns-team" default:"" help:"Id of the team: ten characters."`
	APNsTopics     []string `toml:"apns_topics" name:"apns-topics" default:"" help:"Bundle ids of the apps that are pushed to. With one, apps need not name it."`
	APNsURL        string   `toml:"apns_url" name:"apns-url" default:"" mask:"url" help:"URL of APNs, where it is not Apple's."`
	APNsSandboxURL string   `toml:"apns_sandbox_url" name:"apns-sandbox-url" default:"" mask:"url" help:"URL of the sandbox of APNs, where it is not Apple's."`

	WebPushSubject string   `toml:"webpush_subject" name:"webpush-subject" default:"" help:"Address by which push services of browsers reach you: mailto:you@example.org, or an https:// address. Empty: Web Push is not used."`
	WebPushKeyFile string   `toml:"webpush_key_file" name:"webpush-key-file" placeholder:"FILE" default:"" help:"File with the VAPID key, 32 bytes in base64url: every subscription is made for it. All nodes of a cluster need the same key. Empty: webpush.key in the data dir, which the first start makes."`
	WebPushAllow   []string `toml:"webpush_allow" name:"webpush-allow" default:"" help:"Networks (CIDR) that endpoints of browsers may lie in, besides the public internet."`

	Log    bool   `toml:"log" default:"false" help:"Take devices of the kind log, whose notifications are written to the log, with all they say. For development."`
	CAFile string `toml:"ca_file" name:"ca-file" placeholder:"FILE" default:"" help:"Certificates (PEM) that push services may have, in place of those that the system trusts: for a stand-in."`

	Delay    Duration `toml:"delay" default:"3s" help:"How long a notification waits: what is read meanwhile is not told, and messages of one room become one notification."`
	TTL      Duration `toml:"ttl" name:"ttl" default:"24h" help:"After which a notification that could not be delivered is worthless."`
	Members  int      `toml:"members" default:"200" help:"In rooms with more members than this only those who are mentioned are told."`
	Language string   `toml:"language" words:"en,zh" default:"en" help:"Language of what notifications say beside the messages, of devices that name none: en or zh."`
	Hidden   bool     `toml:"hidden" default:"false" help:"Never send what messages say, nor who wrote them, through push services: notifications say that there is something new."`
}

// WebPushKeyName is the file in the data dir that has the VAPID key, where the settings
// name no other.
const WebPushKeyName = "webpush.key"

// WebPushKey is the path of the file with the VAPID key.
func (c *Config) WebPushKey() string {
	if c.Push.WebPushKeyFile != "" {
		return c.Push.WebPushKeyFile
	}
	return filepath.Join(c.DataDir, WebPushKeyName)
}

// Used reports whether any push service is.
func (p *Push) Used() bool {
	return p.FCMAccountFile != "" || p.APNsKeyFile != "" || p.WebPushSubject != "" || p.Log
}

// Allowed returns WebPushAllow, parsed. Entries that Check rejects are left out.
func (p *Push) Allowed() (out []netip.Prefix) {
	for _, s := range p.WebPushAllow {
		if n, err := parseNetwork(s); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// checkPush reports what is wrong with [push], credentials aside: what they are worth is
// said when the node starts, and chat goes on without them.
func (c *Config) checkPush() Problems {
	p := &c.Push
	var ps Problems
	for _, u := range [][2]string{{"push.fcm_url", p.FCMURL}, {"push.apns_url", p.APNsURL}, {"push.apns_sandbox_url", p.APNsSandboxURL}} {
		if parsed, err := url.Parse(u[1]); u[1] != "" && (err != nil || parsed.Scheme != "https" || parsed.Host == "") {
			ps = append(ps, Problem{u[0], "it is not an https URL", "write https://host:port, or leave it empty for the real service"})
		}
	}
	for _, n := range p.WebPushAllow {
		if _, err := parseNetwork(n); err != nil {
			ps = append(ps, Problem{"push.webpush_allow", strconv.Quote(n) + " is not a network", "write a CIDR such as 10.0.0.0/8, or an address"})
		}
	}
	if time.Duration(p.TTL) < time.Minute {
		ps = append(ps, Problem{"push.ttl", "it is " + p.TTL.String(), "give a minute at least"})
	}
	if delay := time.Duration(p.Delay); delay > time.Hour {
		ps = append(ps, Problem{"push.delay", "it is " + p.Delay.String(), "give an hour at most"})
	}
	return ps
}
