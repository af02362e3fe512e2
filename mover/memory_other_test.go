//go:build !linux

package mover_test

import "testing"

func memory(t testing.TB) string { return t.TempDir() }
