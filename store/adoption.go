package store

import (
	"context"
	"encoding/json"

	"github.com/roomtide/roomtide/chat"
)

// Adoption says how far another chat has moved in (package adopt): which of the two writes.
// Generation counts what was said of it; 0: there was never one.
type Adoption struct {
	Generation int64 `json:"-"`
	Source     string
	State      AdoptionState
	Changed    int64 // Unix milliseconds
}

// AdoptionState is a step of the way.
type AdoptionState string

const (
	AdoptionCopying   AdoptionState = "copying"   // the old chat is in force; its history is copied
	AdoptionFollowing AdoptionState = "following" // the old chat is in force, and what is said on either side is on both
	AdoptionSwitching AdoptionState = "switching" // nothing is written the old way: for seconds
	AdoptionSwitched  AdoptionState = "switched"  // this chat is in force, and the old tables are its mirror
	AdoptionDone      AdoptionState = "done"      // the old tables are left alone
)

// Known reports whether there is such a state.
func (s AdoptionState) Known() bool {
	switch s {
	case AdoptionCopying, AdoptionFollowing, AdoptionSwitching, AdoptionSwitched, AdoptionDone:
		return true
	}
	return false
}

// AdoptionLog is the part of Control that says which chat is in force.
type AdoptionLog interface {
	// Adoption returns what was said last.
	Adoption(ctx context.Context) (Adoption, error)

	// SaveAdoption says something else. Conflict unless a.Generation is one more than that
	// of what was said last.
	SaveAdoption(ctx context.Context, a Adoption) error
}

// EncodeAdoption returns what a driver keeps beside the generation.
func EncodeAdoption(a *Adoption) ([]byte, error) { return json.Marshal(a) }

// DecodeAdoption reads it.
func DecodeAdoption(generation int64, body []byte) (a Adoption, err error) {
	if err := json.Unmarshal(body, &a); err != nil {
		return Adoption{}, chat.Wrap(chat.Internal, "store.adoption", err)
	}
	a.Generation = generation
	return a, nil
}

func (c *control) Adoption(ctx context.Context) (a Adoption, err error) {
	err = c.do(ctx, "adoption", func(ctx context.Context) (err error) { a, err = c.driver.Adoption(ctx); return err })
	return a, err
}

func (c *control) SaveAdoption(ctx context.Context, a Adoption) error {
	return c.do(ctx, "save_adoption", func(ctx context.Context) error { return c.driver.SaveAdoption(ctx, a) })
}
