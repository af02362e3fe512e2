package push

import "time"

// Rule says what an answer of a service means.
type Rule struct {
	Status int    // of HTTP; 0: any
	Reason string // the service's own code; "": any

	Action   Action
	After    time.Duration // if the service does not say
	Doubtful bool
}

// Table is what a service can answer, first match first. The last rule matches everything.
type Table []Rule

// Outcome maps an answer that came at the time now. The reason of the outcome is one of
// the table's, or the class of the status: the service cannot invent any.
func (t Table) Outcome(status int, reason string, now time.Time) Outcome {
	for _, r := range t {
		if (r.Status != 0 && r.Status != status) || (r.Reason != "" && r.Reason != reason) {
			continue
		}
		o := Outcome{Action: r.Action, Reason: r.Reason, After: r.After, Doubtful: r.Doubtful}
		if o.Reason == "" {
			o.Reason = class(status)
		}
		if o.Action == Dead {
			o.Since = now
		}
		return o
	}
	return Outcome{Action: Pause, Reason: class(status)}
}

// classes are the reasons of answers that the service gives no code with.
var classes = map[int]string{
	400: "400", 401: "401", 403: "403", 404: "404", 405: "405", 410: "410", 413: "413", 429: "429",
	500: "500", 502: "502", 503: "503", 504: "504",
}

func class(status int) string {
	if c := classes[status]; c != "" {
		return c
	}
	switch status / 100 {
	case 2:
		return "ok"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	case 5:
		return "5xx"
	}
	return "strange"
}
