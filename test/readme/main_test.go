package readme

import (
	"os"
	"testing"

	"github.com/roomtide/roomtide/internal/testprocess"
)

var roomtide *testprocess.Program // set by TestMain

func TestMain(m *testing.M) {
	os.Exit(testprocess.Main(m, "", func(p *testprocess.Program) { roomtide = p }))
}
