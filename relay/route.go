package relay

import (
	"sync"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// router holds changes that wait for a newer slot map.
type router struct {
	wake chan struct{} // set once

	mu      sync.Mutex
	version int64 // that was heard of
	moved   []verdict
	closed  bool
}

// newer says that another node has a newer map.
func (r *Relay) newer(version int64) {
	r.router.mu.Lock()
	r.router.version = max(r.router.version, version)
	r.router.mu.Unlock()
	signal(r.router.wake)
}

// reroute lets a change wait for the map by which it was refused.
func (r *Relay) reroute(v *verdict) {
	err := error(nil)
	r.router.mu.Lock()
	switch {
	case r.router.closed:
		err = stopping()
	case len(r.router.moved) >= r.cfg.MaxWaiting:
		err = &chat.Error{Kind: chat.Busy, Op: "relay.reroute", RetryAfter: retryBusy}
	default:
		r.router.moved = append(r.router.moved, *v)
		r.router.version = max(r.router.version, v.slots)
	}
	r.router.mu.Unlock()
	if err != nil {
		v.done(change.Reply{}, err)
		return
	}
	signal(r.router.wake)
}

// route reads newer maps and routes changes by them, in their order.
func (r *Relay) route() {
	timer := time.NewTimer(r.cfg.Repeat)
	defer timer.Stop()
	for {
		select {
		case <-r.stop:
			for _, v := range r.router.take(true) {
				v.done(change.Reply{}, stopping())
			}
			return
		case <-r.router.wake:
		case <-timer.C:
		}
		if r.routeOnce() {
			timer.Reset(r.cfg.Repeat)
		}
	}
}

// routeOnce reports whether changes are left that wait for a map.
func (r *Relay) routeOnce() bool {
	moved := r.router.take(false)
	r.router.mu.Lock()
	version := r.router.version
	r.router.mu.Unlock()
	if version > r.cfg.MapVersion() || len(moved) > 0 {
		r.cfg.Stale(version)
	}
	mine, now := r.cfg.MapVersion(), r.cfg.Now()
	var left []verdict
	defer r.cfg.AfterOutcomes() // of those that are given up or refused here
	for _, v := range moved {
		switch {
		case mine >= v.slots:
			r.cfg.Again(v.change, v.done)
		case now.Before(v.until):
			left = append(left, v)
		default:
			r.count.givenUp.Inc()
			v.done(change.Reply{}, unreachable())
		}
	}
	if len(left) == 0 {
		return false
	}
	r.router.mu.Lock()
	r.router.moved = append(left, r.router.moved...)
	r.router.mu.Unlock()
	return true
}

// take takes all changes that wait, and refuses others from now on if last is set.
func (o *router) take(last bool) []verdict {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = o.closed || last
	moved := o.moved
	o.moved = nil
	return moved
}
