package outbox

import (
	"context"

	"github.com/roomtide/roomtide/store"
)

// Before returns the position behind which the kept entries of a shard are those of a time
// (Unix milliseconds) and later. Entries of old versions have no time: they are earlier.
func Before(ctx context.Context, reader *store.Reader, last, ms int64) (int64, error) {
	low, high := int64(0), last // entries up to low are earlier, those behind high are not
	for low < high {
		mid := low + (high-low)/2
		entries, err := reader.Outbox(ctx, theLane, mid, 1)
		switch {
		case err != nil:
			return 0, err
		case len(entries) == 0 || entries[0].Position > high || entries[0].Time >= ms:
			high = mid
		default:
			low = entries[0].Position
		}
	}
	return low, nil
}
