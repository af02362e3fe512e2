package redispresence

import (
	"context"
	"errors"
)

const (
	RenewIn = renewIn
	CheckIn = checkIn
)

// Beat is a heartbeat now.
func (d *Driver) Beat(ctx context.Context) error {
	if d.tryBeat(ctx); !d.isTold() {
		return errors.New("redis was not told")
	}
	return nil
}

// Abandon ends the driver as the death of its process does: nothing is taken back.
func (d *Driver) Abandon() {
	d.stop()
	d.loop.Wait()
	d.setTold(false)
}
