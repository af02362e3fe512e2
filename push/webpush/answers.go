package webpush

import (
	"time"

	"github.com/roomtide/roomtide/push"
)

// answers is what a push service can answer (RFC 8030, section 5). Reasons are those of
// Apple's service, and redirect.
//
// A 401 or 403 is mostly about one subscription, which was made for another VAPID key. If
// most subscriptions of a service are refused, the node's key, subject or clock is wrong.
var answers = push.Table{
	{Status: 201, Action: push.Delivered},
	{Status: 200, Action: push.Delivered},
	{Status: 202, Action: push.Delivered},
	{Status: 204, Action: push.Delivered},
	{Status: 404, Action: push.Dead},
	{Status: 410, Action: push.Dead},
	{Status: 403, Reason: "BadJwtToken", Action: push.Misconfigured},
	{Status: 400, Reason: "VapidPkHashMismatch", Action: push.Dead, Doubtful: true},
	{Status: 401, Action: push.Dead, Doubtful: true},
	{Status: 403, Action: push.Dead, Doubtful: true},
	{Status: 413, Action: push.TooLarge},
	{Status: 429, Action: push.Pause, After: time.Minute},
	{Reason: redirect, Action: push.Rejected}, // none is followed: the token is for one origin
	{Status: 400, Action: push.Rejected},
	{Status: 405, Action: push.Rejected},
	{Status: 500, Action: push.Pause},
	{Status: 502, Action: push.Pause},
	{Status: 503, Action: push.Pause},
	{Action: push.Pause},
}

const redirect = "redirect"
