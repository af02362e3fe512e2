package server

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/sys/unix"
)

// The connection of an event stream fails when its client confirms nothing.
func TestNoticeLoss(t *testing.T) {
	timeout := make(chan int, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		noticeLoss(r)
		raw, err := r.Context().Value(connKey{}).(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Error(err)
		}
		if err := raw.Control(func(fd uintptr) {
			ms, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
			if err != nil {
				t.Error(err)
			}
			timeout <- ms
		}); err != nil {
			t.Error(err)
		}
	}))
	srv.Config.ConnContext = withConn
	srv.Start()
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if ms := <-timeout; ms != int(lossTime.Milliseconds()) {
		t.Errorf("%d ms", ms)
	}
	noticeLoss(httptest.NewRequest("GET", "/", nil)) // without a connection: nothing
}
