package fcm

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/roomtide/roomtide/push"
)

// answers is what messages:send can answer. The reasons are the error codes of FCM, and
// invalidToken for an INVALID_ARGUMENT that is about the target.
//
// Whatever one target alone can cause says nothing about the project: a token of another
// project (SENDER_ID_MISMATCH) is the target's fault unless most are so.
var answers = push.Table{
	{Status: 200, Action: push.Delivered},
	{Status: 404, Reason: "UNREGISTERED", Action: push.Dead},
	{Status: 400, Reason: invalidToken, Action: push.Dead, Doubtful: true},
	{Status: 403, Reason: "SENDER_ID_MISMATCH", Action: push.Dead, Doubtful: true},
	{Status: 401, Reason: "THIRD_PARTY_AUTH_ERROR", Action: push.Retry, After: 15 * time.Minute}, // the project's key for iOS is missing
	{Status: 429, Reason: "QUOTA_EXCEEDED", Action: push.Pause, After: time.Minute},
	{Status: 429, Action: push.Pause, After: time.Minute},
	{Status: 401, Action: push.Misconfigured}, // also with a fresh token
	{Status: 403, Action: push.Misconfigured}, // the account may not send, or the API is off
	{Status: 404, Action: push.Misconfigured}, // no such project
	{Status: 413, Action: push.TooLarge},
	{Status: 400, Reason: "INVALID_ARGUMENT", Action: push.Rejected},
	{Status: 400, Action: push.Rejected},
	{Status: 500, Reason: "INTERNAL", Action: push.Pause},
	{Status: 503, Reason: "UNAVAILABLE", Action: push.Pause},
	{Action: push.Pause},
}

const invalidToken = "INVALID_TOKEN"

// tokenAnswers is what the token URL can answer.
var tokenAnswers = push.Table{
	{Status: 200, Action: push.Delivered},
	{Status: 429, Action: push.Pause, After: time.Minute},
	{Reason: "invalid_grant", Action: push.Misconfigured}, // the key was revoked, or this machine's clock is wrong
	{Reason: "invalid_client", Action: push.Misconfigured},
	{Reason: "unauthorized_client", Action: push.Misconfigured},
	{Reason: "invalid_scope", Action: push.Misconfigured},
	{Reason: "invalid_request", Action: push.Misconfigured},
	{Status: 400, Action: push.Misconfigured},
	{Status: 401, Action: push.Misconfigured},
	{Status: 403, Action: push.Misconfigured},
	{Status: 404, Action: push.Misconfigured},
	{Action: push.Pause},
}

// failure is the body of an error.
type failure struct {
	Error struct {
		Message string `json:"message"`
		Status  string `json:"status"`
		Details []struct {
			Code       string `json:"errorCode"` // of FcmError
			Violations []struct {
				Field string `json:"field"`
			} `json:"fieldViolations"` // of BadRequest
		} `json:"details"`
	} `json:"error"`
}

// readFailure returns the code of an error and what FCM says about it.
func readFailure(body []byte) (reason, message string) {
	var f failure
	if json.Unmarshal(body, &f) != nil {
		return "", ""
	}
	reason, aboutToken := "", strings.Contains(f.Error.Message, "registration token")
	for _, d := range f.Error.Details {
		if d.Code != "" {
			reason = d.Code
		}
		for _, v := range d.Violations {
			if v.Field != "message.token" && v.Field != "message.fid" { // something else is wrong as well
				return "INVALID_ARGUMENT", f.Error.Message
			}
			aboutToken = true
		}
	}
	if aboutToken && (reason == "INVALID_ARGUMENT" || f.Error.Status == "INVALID_ARGUMENT") {
		return invalidToken, f.Error.Message
	}
	return reason, f.Error.Message
}
