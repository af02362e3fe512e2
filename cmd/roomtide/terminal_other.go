//go:build !unix

package main

import "os"

func terminalWidth(*os.File) (columns int, ok bool) { return 0, false }
