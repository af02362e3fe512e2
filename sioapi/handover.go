package sioapi

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// A session that can be resumed is in one place: a node that gives it to another has it
// no more, whether or not it arrives. Two copies would be worse than none: the older one
// knows nothing of what the client was sent since.

const (
	piece        = 64              // sessions that are handed over at once
	pieceWeight  = 2048            // their positions, unless one alone has more: below the 1 MiB of a NATS message
	handOverTime = 5 * time.Second // for all of them, where nodes do not answer: what stops a node does not wait longer
)

// ask asks the other nodes for a session; nil: none has it.
func (ss sessions) ask(pid string) *resumeState {
	if ss.h.cfg.Ask == nil {
		return nil
	}
	text := ss.h.cfg.Ask(ss.h.ctx, pid)
	if text == nil {
		return nil
	}
	r := &resumeState{}
	if err := json.Unmarshal(text, r); err != nil {
		ss.h.cfg.Log.Warn("a session of another node cannot be read", "err", err)
		return nil
	}
	return r
}

// signed is a session for another node, which may have another secret.
func (ss sessions) signed(r *resumeState) *resumeState {
	signed := *r
	signed.Proof = ss.proof(r.ID, r.Proof)
	return &signed
}

// Give gives the session of a pid to another node, to which its client has come; nil:
// there is none here. again says that this node stops, and to ask again: the session may
// be on its way to another one.
func (h *Handler) Give(pid string) (session []byte, again bool) {
	if len(pid) > maxPID {
		return nil, false
	}
	id, mac, _ := strings.Cut(pid, ".")
	r := sessions{h}.take(id, mac)
	if r == nil {
		return nil, h.leaving.Load()
	}
	session, err := json.Marshal(sessions{h}.signed(r))
	if err != nil {
		h.cfg.Log.Warn("a session cannot be given to another node", "err", err)
	}
	return session, false
}

// TakeOver keeps what another node has handed over.
func (h *Handler) TakeOver(text []byte) {
	var some []*resumeState
	if err := json.Unmarshal(text, &some); err != nil {
		h.cfg.Log.Warn("sessions of another node cannot be read", "err", err)
		return
	}
	for _, r := range some {
		if r != nil && r.ID != "" && r.Proof != "" {
			h.resumable.put(r)
		}
	}
}

// handOver gives all sessions that can be resumed to other nodes. If there are none, or
// they take too long, what is left stays.
func (h *Handler) handOver() {
	if h.cfg.HandOver == nil {
		return
	}
	var mine []*resumeState
	for end := time.Now().Add(handOverTime); len(mine) == 0; {
		some := h.resumable.first(piece, pieceWeight)
		if len(some) == 0 {
			break
		}
		signed := make([]*resumeState, len(some))
		for i, r := range some {
			signed[i] = sessions{h}.signed(r)
		}
		text, err := json.Marshal(signed)
		switch {
		case err != nil:
			h.cfg.Log.Warn("sessions cannot be handed over", "err", chat.Wrap(chat.Internal, "sioapi.hand_over", err))
		case !time.Now().Before(end):
			h.cfg.Log.Warn("not all sessions are handed over: other nodes do not answer in time", "kept", h.resumable.len()+len(some))
			mine = some
		case h.cfg.HandOver(text):
			mine = some
		}
	}
	for _, r := range mine {
		h.resumable.put(r)
	}
}
