package push

import (
	"log/slog"
	"math/bits"
	"math/rand/v2"
	"time"
)

// The circuit breaker of a service. It has no goroutine and no timer: what has become of
// it is decided when an attempt begins and when one ends.
//
//	open ── a failure that says how long, failuresToStop failures in a row,
//	│       or a refusal of the credentials ──> paused until a time
//	└── an attempt is answered <── one attempt at a time, once that time has come
const (
	failuresToStop = 5
	minute         = time.Minute

	firstPause  = time.Second      // after failures; doubled up to longPause
	firstRefuse = minute           // after a refusal of the credentials; doubled up to longPause
	longPause   = 15 * minute      // what Apple asks for after a 503
	longest     = time.Hour        // of what a service may ask for
	probing     = time.Second      // while one attempt finds out, the others come back so much later
	patience    = time.Second      // without an answer, until nothing waits for a permit any more
	doubtPause  = 15 * time.Minute // until a doubtful target is tried again
)

// service is what is known of one server. Everything is guarded by line.mu.
type service struct {
	// Set once.
	name    string
	permits chan struct{} // an attempt holds one, and one of the line

	callers int       // of Send: while there is one, the service is not forgotten
	running int       // attempts
	heard   time.Time // when an attempt began or ended last

	paused   bool
	until    time.Time // paused: no attempt before
	epoch    int       // of the state; attempts that began before its last change do not change it again
	probe    bool      // paused: the attempt that finds out is running
	failures int       // in a row, while not paused
	pauses   int       // in a row, without an answer between
	refused  bool      // the last pause is due to a refusal of the credentials

	// The last verdicts on targets that can be doubtful, the newest in the lowest bit:
	// 1 is doubtful and dead, 0 delivered.
	verdicts uint64
	judged   int
	doubting bool
}

// enter returns the service for a caller of Send, who leaves it in the end.
func (l *line) enter(name string, now time.Time) *service {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.services[name]
	if s == nil {
		l.forget()
		share := cap(l.permits)
		if name != "" {
			share = max(1, share*3/4) // there are others
		}
		s = &service{name: name, permits: make(chan struct{}, share)}
		l.services[name] = s
	}
	s.callers++
	return s
}

func (l *line) leave(s *service) {
	l.mu.Lock()
	s.callers--
	l.mu.Unlock()
}

// paused is how long the service is to be left alone, 0 if it need not.
func (l *line) paused(s *service, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.wait(now)
}

func (s *service) wait(now time.Time) time.Duration {
	switch {
	case !s.paused:
		return 0
	case now.Before(s.until):
		return s.until.Sub(now)
	case s.probe:
		return probing
	}
	return 0
}

// attempt is one that runs.
type attempt struct {
	of    *service
	epoch int
	probe bool
}

// begin begins an attempt of a caller who has the permits, or says why not now.
func (l *line) begin(s *service, now time.Time) (attempt, *Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait := s.wait(now); wait > 0 {
		return attempt{}, &Outcome{Action: Pause, Reason: "paused", After: wait}
	}
	s.running++
	l.running++
	s.heard, l.heard = now, now
	a := attempt{of: s, epoch: s.epoch, probe: s.paused}
	s.probe = s.paused
	return a, nil
}

// patience is how long to wait for a permit of the service, or of the provider where the
// service has its own: 0 or less if all attempts that may run have been silent for that long.
func (l *line) patience(s *service, own bool, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	running, most, heard := s.running, cap(s.permits), s.heard
	if own {
		running, most, heard = l.running, cap(l.permits), l.heard
	}
	if running < most { // the last permit was taken just now
		return patience
	}
	return patience - now.Sub(heard)
}

// forget makes place for one more service: the ones that are well and idle go, and
// where there are none, any that is idle.
func (l *line) forget() {
	if len(l.services) < maxServices {
		return
	}
	for _, ill := range []bool{false, true} {
		for name, s := range l.services {
			if s.callers == 0 && (ill || !s.paused) {
				delete(l.services, name)
			}
			if len(l.services) <= maxServices/2 {
				return
			}
		}
	}
}

// end ends an attempt, learns from its outcome, and returns what it means.
func (l *line) end(a attempt, o Outcome, now time.Time, log *slog.Logger) Outcome {
	l.mu.Lock()
	s := a.of
	s.running--
	l.running--
	s.heard, l.heard = now, now
	if a.probe {
		s.probe = false
	}
	was := *s
	if a.epoch == s.epoch {
		s.learn(&o, now)
	} else if s.paused && !o.Action.Final() {
		o.After = max(o.After, s.until.Sub(now))
	}
	o = s.judge(o)
	is := *s
	l.mu.Unlock()
	report(log, l.provider.Name(), &was, &is, &o, now)
	return o
}

// learn changes the state by an outcome of an attempt that began in it.
func (s *service) learn(o *Outcome, now time.Time) {
	switch {
	case o.Action == Retry && o.Reason == "cancelled": // nothing was learned
	case o.Action == Misconfigured:
		s.pause(o, now, firstRefuse)
		s.refused = true
	case o.Action == Pause:
		s.failures++
		if o.After > 0 || s.paused || s.failures >= failuresToStop {
			s.pause(o, now, firstPause)
			s.refused = false
		}
	default: // the service has answered
		if s.paused {
			s.epoch++
		}
		s.paused, s.refused, s.failures, s.pauses = false, false, 0, 0
	}
}

// pause stops attempts for as long as the service asks, or for a pause that doubles, half
// of it by chance, so that nodes do not come back together.
func (s *service) pause(o *Outcome, now time.Time, first time.Duration) {
	wait := min(o.After, longest)
	if wait == 0 {
		wait = min(first<<min(s.pauses, 20), longPause)
		wait = wait/2 + rand.N(wait/2)
	}
	s.paused, s.failures = true, 0
	s.pauses++
	s.epoch++
	s.until = now.Add(wait)
	o.After = wait
}

// judge keeps doubtful targets from being deleted while most of them are dead: then a
// setting is wrong, and not the devices. The service is not paused for it, as a few
// targets that a client made up would silence all others.
func (s *service) judge(o Outcome) Outcome {
	const enough, most = 16, 0.75
	switch {
	case o.Action == Delivered:
		s.verdicts <<= 1
		s.judged = min(s.judged+1, 64)
	case o.Action == Dead && o.Doubtful:
		s.verdicts = s.verdicts<<1 | 1
		s.judged = min(s.judged+1, 64)
	default:
		return o
	}
	dead := bits.OnesCount64(s.verdicts)
	s.doubting = dead >= enough && float64(dead) >= most*float64(s.judged)
	if s.doubting && o.Action == Dead {
		o.Action, o.After, o.Since = Retry, doubtPause, time.Time{}
	}
	return o
}

// report logs what has changed.
func report(log *slog.Logger, provider string, was, is *service, o *Outcome, now time.Time) {
	log = log.With("provider", provider, "service", is.name)
	switch {
	case is.paused && is.epoch != was.epoch && is.refused:
		log.Error("push: the service refuses the credentials or settings", "reason", o.Reason, "err", o.Err, "again_in", is.until.Sub(now).Round(time.Second))
	case is.paused && is.epoch != was.epoch:
		log.Warn("push: the service is left alone for a while", "reason", o.Reason, "err", o.Err, "again_in", is.until.Sub(now).Round(time.Millisecond))
	case was.paused && !is.paused:
		log.Info("push: the service answers again")
	}
	switch {
	case is.doubting && !was.doubting:
		log.Error("push: most targets look dead, which a wrong setting does: none is deleted until some are delivered", "reason", o.Reason)
	case was.doubting && !is.doubting:
		log.Info("push: targets are believed to be dead again")
	}
}
