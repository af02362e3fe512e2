package apns

import (
	"time"

	"github.com/roomtide/roomtide/push"
)

// answers is what APNs can answer; the reasons are Apple's.
//
// A token that is wrong for the environment or the app is the device's fault, unless most
// are so: then a setting of the node is wrong. After a 500 or 503 Apple asks for pauses that grow, up to about
// fifteen minutes, which is what the circuit breaker makes.
var answers = push.Table{
	{Status: 200, Action: push.Delivered},
	{Status: 410, Reason: "Unregistered", Action: push.Dead},
	{Status: 410, Reason: "ExpiredToken", Action: push.Dead},
	{Status: 410, Action: push.Dead},
	{Status: 400, Reason: "BadDeviceToken", Action: push.Dead, Doubtful: true},
	{Status: 400, Reason: "DeviceTokenNotForTopic", Action: push.Dead, Doubtful: true},
	{Status: 413, Reason: "PayloadTooLarge", Action: push.TooLarge},
	{Status: 413, Action: push.TooLarge},
	{Status: 429, Reason: "TooManyProviderTokenUpdates", Action: push.Pause, After: 5 * time.Minute},
	{Status: 429, Reason: "TooManyRequests", Action: push.Retry, After: time.Minute}, // for this device
	{Status: 429, Action: push.Retry, After: time.Minute},
	{Status: 403, Reason: "ExpiredProviderToken", Action: push.Misconfigured}, // this machine's clock is wrong
	{Status: 403, Reason: "InvalidProviderToken", Action: push.Misconfigured}, // key, key id or team id is wrong, or the key was revoked
	{Status: 403, Reason: "MissingProviderToken", Action: push.Misconfigured},
	{Status: 403, Reason: "BadEnvironmentKeyIdInToken", Action: push.Misconfigured}, // a key for one environment alone
	{Status: 403, Reason: "BadEnvironmentKeyInToken", Action: push.Misconfigured},
	{Status: 403, Reason: "UnrelatedKeyIdInToken", Action: push.Misconfigured},
	{Status: 403, Reason: "Forbidden", Action: push.Misconfigured},
	{Status: 403, Action: push.Misconfigured},
	{Status: 400, Reason: "TopicDisallowed", Action: push.Misconfigured}, // the team has no such app
	{Status: 400, Reason: "BadTopic", Action: push.Misconfigured},
	{Status: 400, Reason: "MissingTopic", Action: push.Misconfigured},
	{Status: 400, Reason: "IdleTimeout", Action: push.Pause},
	{Status: 500, Reason: "InternalServerError", Action: push.Pause},
	{Status: 503, Reason: "ServiceUnavailable", Action: push.Pause},
	{Status: 503, Reason: "Shutdown", Action: push.Pause},
	{Status: 500, Action: push.Pause},
	{Status: 503, Action: push.Pause},
	{Status: 400, Action: push.Rejected},
	{Status: 404, Action: push.Rejected},
	{Status: 405, Action: push.Rejected},
	{Action: push.Pause},
}
