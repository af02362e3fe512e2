package identity

import (
	"testing"

	"go.uber.org/goleak"
)

// Fetching keys leaves no goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
