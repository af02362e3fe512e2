package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/roomtide/roomtide/chat"
)

// Move is the record of slots that move from one shard to another (package mover),
// in the control database. The slot map says what is in force; the record says what
// is left to do.
type Move struct {
	ID    int64 `json:"-"`
	Slots SlotSet
	From  string // names of shards
	To    string

	// Rev is raised whenever the record is saved: an older state of it never replaces a
	// newer one.
	Rev  int64
	Node string // that works on it, or did last; "" on a single node or before the first

	Phase    MovePhase
	Paused   bool
	Unwanted bool   // an operator has aborted it
	Error    string // why it is paused, or was aborted; "" if an operator did it
	Rate     int    // rows a second, 0: as fast as it goes
	Keep     int64  // milliseconds from the flip to the deletion of what is left in the source

	Started int64 // Unix milliseconds
	Flipped int64 // when the target became the owner, 0 before
	Ended   int64 // when it was done or aborted, 0 before

	// How far the copy or its deletion is: rows behind After in slot At, and those of
	// greater slots, are still to do.
	At    chat.Slot
	After RowKey

	Total    int64 // rows to copy, as estimated at the beginning
	Rows     int64 // copied
	Bytes    int64
	Followed int64 // rows copied again because they were written meanwhile
	Deleted  int64
	Compared int64 // rows found equal
	Holds    int64 // attempts to take the slots over
	HeldFor  int64 // milliseconds for which changes were held back in the last one
}

// MovePhase says what a move is doing.
type MovePhase string

const (
	MoveWaiting   MovePhase = "waiting"   // another one comes first
	MoveCopying   MovePhase = "copying"   // pages of rows, in order of their keys
	MoveFollowing MovePhase = "following" // all is copied; what is written is copied again
	MoveVerifying MovePhase = "verifying" // compares the rows of both shards
	MoveHolding   MovePhase = "holding"   // changes wait, for less than a second
	MoveFlipped   MovePhase = "flipped"   // the target is the owner
	MoveCleaning  MovePhase = "cleaning"  // deletes what is left in the source
	MoveDone      MovePhase = "done"
	MoveAborting  MovePhase = "aborting" // deletes the copy
	MoveAborted   MovePhase = "aborted"
)

// Follows reports whether the lane of the source has to note the keys of what it
// writes in the slots.
func (p MovePhase) Follows() bool {
	switch p {
	case MoveCopying, MoveFollowing, MoveVerifying, MoveHolding:
		return true
	}
	return false
}

// Over reports whether nothing is left to do.
func (p MovePhase) Over() bool { return p == MoveDone || p == MoveAborted }

// MoveRow is a Move as it is stored.
type MoveRow struct {
	ID   int64
	Body []byte // Move.Encode
}

// MoveLog is the part of Control that keeps moves.
type MoveLog interface {
	// Moves returns the records of all moves, in ascending ID.
	Moves(ctx context.Context) ([]MoveRow, error)

	// SaveMove inserts the record if was is nil, and otherwise puts m.Body in the place of
	// was. Conflict if a record with m.ID exists, or is another one than was. No two bodies
	// of a record are ever equal.
	SaveMove(ctx context.Context, m MoveRow, was []byte) error
}

// moveVersion is the version of the stored form.
const moveVersion = 1

type moveBody struct {
	Version int `json:"v"`
	*Move
}

// Encode returns the record as it is stored.
func (m *Move) Encode() MoveRow {
	body, err := json.Marshal(moveBody{moveVersion, m})
	if err != nil {
		panic(err) // of plain data
	}
	return MoveRow{ID: m.ID, Body: body}
}

// Decode reads a record.
func (r MoveRow) Decode() (*Move, error) {
	m := &Move{}
	body := moveBody{Move: m}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return nil, fmt.Errorf("the record of move %d cannot be read: %w", r.ID, err)
	}
	if body.Version != moveVersion {
		return nil, fmt.Errorf("the record of move %d has version %d, this program knows %d", r.ID, body.Version, moveVersion)
	}
	m.ID = r.ID
	return m, nil
}

// Moves returns the records of all moves, in ascending ID. Without a control database
// there are none.
func (s *Store) Moves(ctx context.Context) ([]*Move, error) {
	if s.Control == nil {
		return nil, nil
	}
	rows, err := s.Control.Moves(ctx)
	moves := make([]*Move, 0, len(rows))
	for _, r := range rows {
		m, err := r.Decode()
		if err != nil {
			return nil, chat.Wrap(chat.Internal, "store.moves", err)
		}
		moves = append(moves, m)
	}
	return moves, err
}

func (c *control) Moves(ctx context.Context) (rows []MoveRow, err error) {
	err = c.do(ctx, "moves", func(ctx context.Context) (err error) { rows, err = c.driver.Moves(ctx); return err })
	return rows, err
}

func (c *control) SaveMove(ctx context.Context, m MoveRow, was []byte) error {
	return c.do(ctx, "save_move", func(ctx context.Context) error { return c.driver.SaveMove(ctx, m, was) })
}
