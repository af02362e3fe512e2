package adopt

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/chat"
)

// A call names keys, over TCP or a socket; what is none is refused, and so is an address
// that others reach.
func TestTouch(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	socket := filepath.Join(t.TempDir(), "touch.sock")
	touches := follow.NewTouches()
	server, err := ServeTouch("unix:"+socket, touches, log)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	many := `{"keys":[` + strings.TrimSuffix(strings.Repeat("1,", mostTouched), ",") + `]}`
	for _, row := range []struct {
		method, body string
		status       int
	}{
		{"POST", `{"keys":["a-1",2]}`, 204}, {"POST", `{"keys":[]}`, 204}, {"POST", `{"keys":[{}]}`, 400}, {"POST", `{"keys":"1"}`, 400},
		{"POST", `x`, 400}, {"POST", many, 400}, {"GET", "", 405},
	} {
		r, err := http.NewRequestWithContext(t.Context(), row.method, "http://touch/", strings.NewReader(row.body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != row.status {
			t.Errorf("%s %.40s: %d %s, want %d", row.method, row.body, answer.StatusCode, text, row.status)
		}
	}
	for _, address := range []string{"0.0.0.0:0", ":8081", "192.0.2.1:80", "example.org:80", "8081", "unix:/nowhere/at/all"} {
		if s, err := ServeTouch(address, touches, log); chat.KindOf(err) != chat.Invalid {
			t.Errorf("%s: %v", address, err)
			s.Close()
		}
	}
}
