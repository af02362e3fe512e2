package limit

// Several nodes with the same Rates hold a key to one rate together: each has a bucket
// that fills at the whole rate, tells the others what was spent from it (Spent), and takes
// out what they tell (Charge). So all buckets of a key hold the same, but for what was
// spent since. Spending from a bucket asks no other node.
//
// What N nodes let a key do in a time T, if each hears of the others within d, is at most
//
//	Burst + T*PerSecond + (N-1)*(Burst + d*PerSecond) + N*(Share-1)
//
// The third term is what may be spent on all nodes before they hear of each other. The key
// owes it: it waits until as much has come back, so that it is paid once, however long T is.

// Spent is what keys have spent, by the name of the rate and the key as text.
type Spent map[string]map[string]int

// note keeps what was spent from the bucket for other nodes.
func (r *Rates[K]) note(key K, b *bucket, n int) {
	if r.cfg.Share <= 0 {
		return
	}
	s := r.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	b.untold += n
	if b.untold < r.cfg.Share {
		return
	}
	if _, ok := s.spent[key]; !ok && len(s.spent) >= max(1, r.cfg.MaxKeys/rateStripes) {
		if r.cfg.Untold != nil {
			r.cfg.Untold.Add(float64(b.untold))
		}
	} else {
		if s.spent == nil {
			s.spent = map[K]int{}
		}
		s.spent[key] += b.untold
	}
	b.untold = 0
}

// Spent calls tell with what each key has spent since the last call, for Charge of all
// other nodes. What has not come to Share is kept.
func (r *Rates[K]) Spent(tell func(key K, tokens int)) {
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		spent := s.spent
		s.spent = nil
		s.mu.Unlock()
		for key, n := range spent {
			tell(key, n)
		}
	}
}

// Charge takes tokens of the key that were spent on another node, also those that are not
// there yet.
func (r *Rates[K]) Charge(key K, n int) {
	if r.cfg.PerSecond <= 0 || n <= 0 {
		return
	}
	b, now := r.bucket(key, true), r.cfg.Now()
	n = min(n, int(b.TokensAt(now))+maxOwed*r.cfg.Burst)
	for ; n > 0; n -= r.cfg.Burst {
		b.ReserveN(now, min(n, r.cfg.Burst))
	}
}
