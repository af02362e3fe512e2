package mempresence_test

import (
	"testing"

	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/presence/mempresence"
	"github.com/roomtide/roomtide/presence/presencetest"
)

func TestConformance(t *testing.T) {
	presencetest.Run(t, func(*testing.T) []presence.Driver { return []presence.Driver{mempresence.New()} })
}
