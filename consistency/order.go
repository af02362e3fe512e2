package consistency

import "github.com/roomtide/roomtide/chat"

// checkRealTime: what was sent after another message was acknowledged has the
// higher number. One walk in time suffices, with the highest number
// acknowledged so far. A key that was sent again counts from its first send.
func (r *room) checkRealTime() {
	var done chat.Seq
	floor := map[sender]chat.Seq{}
	for _, rec := range r.records {
		switch rec.Kind {
		case Invoke:
			k := sender{rec.User, rec.Key}
			if _, again := floor[k]; !again {
				floor[k] = done
			}
		case OK:
			done = max(done, rec.Seq)
		}
	}
	for _, o := range r.ops {
		k := sender{o.User, o.Key}
		if o != r.sends[k][0] {
			continue
		}
		if seq, known := r.seqs[k]; known && seq <= floor[k] {
			r.report(RealTime, o.Client, []chat.Seq{seq, floor[k]}, "%d was acknowledged before %d was sent", floor[k], seq)
		}
	}
}

// checkSenderOrder: messages of one connection are numbered in the order they
// left. A key that was sent more than once makes no claim.
func (r *room) checkSenderOrder() {
	last := map[string]chat.Seq{}
	for _, o := range r.ops {
		if o.Client == "" || o.ended != OK || len(r.sends[sender{o.User, o.Key}]) > 1 {
			continue
		}
		if o.seq < last[o.Client] {
			r.report(SenderOrder, o.Client, []chat.Seq{last[o.Client], o.seq}, "%d left after %d", o.seq, last[o.Client])
		}
		last[o.Client] = max(last[o.Client], o.seq)
	}
}

// device is how far one device was shown a room.
type device struct {
	at      chat.Seq // shown up to here
	started bool
	resumed bool // nothing was shown since the last resume
	late    map[chat.Seq]bool
}

// checkDevices: every device is shown every number after the one it started
// from, once, ascending, across all its resumes.
func (r *room) checkDevices() {
	devices := map[string]*device{}
	for _, rec := range r.records {
		if rec.Kind != Resume && rec.Kind != Deliver {
			continue
		}
		d := devices[rec.Client]
		if d == nil {
			d = &device{late: map[chat.Seq]bool{}}
			devices[rec.Client] = d
		}
		if rec.Kind == Resume {
			r.resume(d, rec)
		} else {
			r.deliver(d, rec)
		}
	}
}

func (r *room) resume(d *device, rec *Record) {
	if d.started && rec.Seq != d.at {
		r.report(WrongResume, rec.Client, []chat.Seq{d.at, rec.Seq}, "the device was at %d and resumed from %d", d.at, rec.Seq)
	}
	d.started, d.resumed, d.at = true, true, rec.Seq
}

// deliver moves the device on. A number that was jumped over is noted, so that
// showing it late is told from showing it twice.
func (r *room) deliver(d *device, rec *Record) {
	seq, resumed := rec.Seq, d.resumed
	if !d.started {
		d.started, d.at = true, seq-1
	}
	d.resumed = false
	switch {
	case seq == d.at+1:
	case resumed:
		r.report(WrongResume, rec.Client, []chat.Seq{d.at, seq}, "resumed from %d and was shown %d", d.at, seq)
	case seq > d.at:
		r.report(Hole, rec.Client, []chat.Seq{d.at, seq}, "%d was followed by %d", d.at, seq)
	case d.late[seq]:
		delete(d.late, seq)
		r.report(NonMonotonic, rec.Client, []chat.Seq{d.at, seq}, "%d was shown after %d", seq, d.at)
	default:
		r.report(DuplicateDelivery, rec.Client, []chat.Seq{seq}, "shown again while at %d", d.at)
	}
	// A jump of any length costs at most as much as there are messages.
	for s := d.at + 1; s < seq && len(d.late) <= len(r.records); s++ {
		d.late[s] = true
	}
	d.at = max(d.at, seq)
}

// checkCaughtUp: a device that claims to have everything has received the last
// message.
func (r *room) checkCaughtUp(last chat.Seq) {
	at := map[string]chat.Seq{}
	for _, rec := range r.records {
		switch rec.Kind {
		case Resume, Deliver:
			at[rec.Client] = max(at[rec.Client], rec.Seq)
		case CaughtUp:
			if at[rec.Client] < last {
				r.report(Unobserved, rec.Client, []chat.Seq{at[rec.Client] + 1, last}, "the device stopped at %d of %d", at[rec.Client], last)
			}
		}
	}
}

// checkReads: a read contains every earlier acknowledged message of the reader
// and is not older than the device's earlier reads; a page has no hole.
func (r *room) checkReads() {
	own := map[chat.UserID]chat.Seq{}
	read := map[string]chat.Seq{}
	floor := map[int64]chat.Seq{}
	for _, rec := range r.records {
		switch rec.Kind {
		case OK:
			if o := r.byOp[rec.Op]; o != nil {
				own[o.User] = max(own[o.User], rec.Seq)
			}
		case Ask:
			floor[rec.Op] = max(own[rec.User], read[rec.Client])
		case Answer:
			newest := r.checkPage(rec)
			if newest < floor[rec.Op] {
				r.report(StaleRead, rec.Client, []chat.Seq{newest, floor[rec.Op]}, "the read ended at %d and had to contain %d", newest, floor[rec.Op])
			}
			read[rec.Client] = max(read[rec.Client], newest)
		}
	}
}

func (r *room) checkPage(rec *Record) (newest chat.Seq) {
	for i, m := range rec.Messages {
		if i > 0 && m.Seq != newest+1 {
			r.report(Hole, rec.Client, []chat.Seq{newest, m.Seq}, "in a read, %d was followed by %d", newest, m.Seq)
		}
		newest = m.Seq
	}
	return newest
}
