package wsapi

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/roomtide/roomtide/chat"
)

// Every goodbye has a series before the first one is said.
func TestGoodbyesAreCountedFromZero(t *testing.T) {
	if n := testutil.CollectAndCount(newMetrics(nil, nil).goodbyes); n != len(chat.Goodbyes) {
		t.Errorf("%d series of %d goodbyes", n, len(chat.Goodbyes))
	}
}
