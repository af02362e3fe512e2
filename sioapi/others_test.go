package sioapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/internal/memlistener"
)

// twoNodes is a cluster of this process and one more, whose requests other serves.
type twoNodes struct {
	*memlistener.Listener
	other *memlistener.Listener
}

func (twoNodes) Tag() string { return "here" }

func (n twoNodes) Dial(ctx context.Context, tag string) (net.Conn, error) {
	if tag != "there" {
		return nil, errors.New("there is no such process")
	}
	return n.other.Dial(ctx, "", "")
}

// The transport keeps something of every host that it could not dial, so it is not asked
// for processes that do not exist: their tags are what any client may send.
func TestUnknownTagsLeaveNothing(t *testing.T) {
	nodes := twoNodes{memlistener.New(), memlistener.New()}
	h := New(Config{Nodes: nodes})
	t.Cleanup(h.Close)
	var mu sync.Mutex
	dialed := map[string]bool{}
	dial := h.others.transport.DialContext
	h.others.transport.DialContext = func(ctx context.Context, network, host string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		dialed[host] = true
		return dial(ctx, network, host)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	served := make(chan error)
	go func() { served <- srv.Serve(nodes.other) }()
	t.Cleanup(func() { srv.Close(); <-served })

	for tag, status := range map[string]int{
		"there": http.StatusOK, "gone": http.StatusBadRequest, "gone:80": http.StatusBadRequest,
		"there:80": http.StatusBadRequest, "there:81": http.StatusBadRequest,
	} {
		for range 2 {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/socket.io/?EIO=4&transport=polling&sid=x."+tag, nil))
			if w.Code != status {
				t.Errorf("%s: %d", tag, w.Code)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(dialed) != 1 || !dialed["there:80"] { // by the transport's name for it
		t.Errorf("the transport has dialed %v", dialed)
	}
}
