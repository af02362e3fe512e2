package source

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// layouts of dates, as databases and PHP write them; fractions of a second are read with each.
var layouts = []string{
	"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02",
}

// zoned are layouts of an instant, whatever the time zone of the source is.
var zoned = []string{
	"2006-01-02 15:04:05Z07", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700", time.RFC3339, "2006-01-02T15:04:05Z0700",
}

// time reads a value of a time; ok is false for what is none, such as a zero date.
func (s *Tables) time(v, unit string) (_ time.Time, ok bool) {
	v = strings.TrimSpace(v)
	switch unit {
	case "none":
		return time.Time{}, true
	case "sql":
		return s.date(v)
	}
	perSecond := map[string]float64{"s": 1, "ms": 1e3, "us": 1e6, "1e-4": 1e4}[unit]
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return instant(float64(n/int64(perSecond)), float64(n%int64(perSecond))/perSecond)
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(f / perSecond)
	return instant(whole, fraction)
}

// The times that are believed: from 1970 on, until the year 9999.
func instant(seconds, fraction float64) (time.Time, bool) {
	if seconds < 1 || seconds > 253402300799 || math.IsNaN(seconds) {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), int64(math.Round(fraction*1e3))*int64(time.Millisecond)).UTC(), true
}

func (s *Tables) date(v string) (time.Time, bool) {
	if len(v) < len("2006-01-02") || strings.HasPrefix(v, "0000-") {
		return time.Time{}, false
	}
	for _, l := range layouts {
		if t, err := time.ParseInLocation(l, v, s.zone); err == nil {
			return believed(t)
		}
	}
	for _, l := range zoned {
		if t, err := time.Parse(l, v); err == nil {
			return believed(t)
		}
	}
	return time.Time{}, false
}

func believed(t time.Time) (time.Time, bool) {
	if t.Unix() < 1 || t.Year() > 9999 {
		return time.Time{}, false
	}
	return t.UTC(), true
}
