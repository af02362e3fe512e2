package sioapi

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Nodes is how this process reaches the others of its cluster, and they reach it
// (natsstream.Mesh). It is a listener for streams that others have dialed.
type Nodes interface {
	net.Listener

	// Tag names this process. It has letters and digits only, and no other process has,
	// or had, the same.
	Tag() string

	// Dial opens a stream to the process with a tag, which may be anything that a client
	// has sent. It fails soon if there is none.
	Dial(ctx context.Context, tag string) (net.Conn, error)
}

const (
	dialTime    = 2 * time.Second  // for a stream
	headerTime  = 10 * time.Second // for the head of a request of another node
	answerTime  = time.Minute      // for an answer that does not wait
	idleStreams = 30 * time.Second // after which a stream that is not used ends; the other end waits longer
	idlePeers   = 2 * time.Minute
	idleEach    = 64 // streams to one node that are not used
)

// others is what a Handler does with the other nodes of a cluster. The id of a session
// ends with the tag of its process, so that a request which comes to another one is
// handed on, as HTTP over a stream: polls, bodies, and WebSockets that take over a
// session.
type others struct {
	// Set once.
	h         *Handler
	nodes     Nodes
	transport *http.Transport
	proxy     *httputil.ReverseProxy
	server    *http.Server
	ctx       context.Context // of requests that are handed on; ends with LetGo
	letGo     context.CancelFunc
	serving   sync.WaitGroup

	// reached are the tags of processes that a stream was opened to once, without bound:
	// no client can add to them, only a node that starts.
	reached sync.Map

	forwarded, failed, served prometheus.Counter
}

func newOthers(h *Handler) *others {
	o := &others{h: h, nodes: h.cfg.Nodes}
	o.ctx, o.letGo = context.WithCancel(context.Background())
	o.transport = &http.Transport{
		DialContext: o.dial, DisableCompression: true, IdleConnTimeout: idleStreams, MaxIdleConnsPerHost: idleEach,
	}
	o.proxy = &httputil.ReverseProxy{
		Rewrite: rewrite, Transport: o.transport, ModifyResponse: modify, ErrorHandler: o.fail, BufferPool: copies{},
	}
	o.server = &http.Server{
		Handler: http.HandlerFunc(o.serveOthers), ReadHeaderTimeout: headerTime, WriteTimeout: answerTime, IdleTimeout: idlePeers,
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "roomtide", Subsystem: "sioapi", Name: name, Help: help})
		if h.cfg.Registerer != nil {
			h.cfg.Registerer.MustRegister(c)
		}
		return c
	}
	o.forwarded = counter("forwarded_total", "Requests that were handed to the node that has their session.")
	o.failed = counter("forward_failures_total", "Requests that could not be handed on: there is no such session, or its node is gone.")
	o.served = counter("served_for_others_total", "Requests that other nodes have handed on to this one.")
	return o
}

// listen begins to serve other nodes.
func (o *others) listen() {
	if o != nil {
		o.serving.Go(func() { o.server.Serve(o.nodes) }) // ends with close
	}
}

// LetGo ends the requests that are handed to other nodes, and their WebSockets: this
// node stops, and the clients come back to another one. Close follows.
func (h *Handler) LetGo() {
	h.leaving.Store(true)
	if h.others != nil {
		h.others.letGo()
	}
}

// close ends everything with other nodes.
func (o *others) close() {
	if o == nil {
		return
	}
	o.server.Close()
	o.serving.Wait()
	o.transport.CloseIdleConnections()
}

// newID makes the id of a session of this process (engineio.Options).
func (o *others) newID(*http.Request) string {
	var b [18]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:]) + "." + o.nodes.Tag()
}

// fromOther is the key, in the context of a request, for one that another node has handed
// on. It is not handed on again.
type fromOther struct{}

// serveOthers answers a request of another node.
func (o *others) serveOthers(w http.ResponseWriter, r *http.Request) {
	o.served.Inc()
	o.h.io.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), fromOther{}, true)))
}

// target is the key, in the context of a request that is handed on, for where it goes and
// what became of it.
type target struct{}

type handedOn struct {
	tag    string
	w      http.ResponseWriter
	failed bool
}

// serve hands a request to the process that has its session (engineio.Options.Elsewhere).
func (o *others) serve(w http.ResponseWriter, r *http.Request, sid string) bool {
	_, tag, ok := strings.Cut(sid, ".")
	if !ok || tag == o.nodes.Tag() || r.Context().Value(fromOther{}) != nil || o.ctx.Err() != nil {
		return false
	}
	o.forwarded.Inc()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(o.ctx, cancel)()
	to := &handedOn{tag: tag, w: w}
	if err := o.reach(ctx, tag); err != nil {
		o.lost(to, err)
		return false
	}
	// A body may take as long as it may where the session is (engineio).
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(answerTime)) // not every ResponseWriter has deadlines
	o.proxy.ServeHTTP(w, r.WithContext(context.WithValue(ctx, target{}, to)))
	return !to.failed
}

// reach opens a stream to a process before the first request goes there. A tag is what any
// client may send, and the transport keeps an entry for every host that it could not dial
// (http.Transport.idleConnWait): it is to see none but those of processes.
func (o *others) reach(ctx context.Context, tag string) error {
	if _, was := o.reached.Load(tag); was {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	stream, err := o.nodes.Dial(ctx, tag)
	if err != nil {
		return err
	}
	o.reached.Store(tag, nil)
	return stream.Close()
}

func (o *others) dial(ctx context.Context, _, host string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	tag, _, _ := strings.Cut(host, ":")
	return o.nodes.Dial(ctx, tag)
}

// rewrite addresses a request. It is never sent twice: an answer that was lost may have
// held what is nowhere else by now. A client that is told to begin anew loses nothing.
func rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Context().Value(target{}).(*handedOn).tag
	r.Out.Host = r.In.Host
	if r.Out.Body == nil || r.Out.Body == http.NoBody {
		r.Out.Body = io.NopCloser(strings.NewReader("")) // net/http repeats requests without one
	}
}

// modify leaves out of an answer what is in it already.
func modify(resp *http.Response) error {
	for _, field := range []string{"Vary", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"} {
		resp.Header.Del(field)
	}
	to := resp.Request.Context().Value(target{}).(*handedOn)
	_ = http.NewResponseController(to.w).SetWriteDeadline(time.Now().Add(answerTime)) // not every ResponseWriter has deadlines
	return nil
}

// fail is called in place of an answer.
func (o *others) fail(_ http.ResponseWriter, r *http.Request, err error) {
	o.lost(r.Context().Value(target{}).(*handedOn), err)
}

// lost counts a request that could not be handed on.
func (o *others) lost(to *handedOn, err error) {
	to.failed = true
	o.failed.Inc()
	o.h.cfg.Log.Debug("a request could not be handed on", "node", to.tag, "err", err)
}

// copies are the buffers for answers and WebSockets.
type copies struct{}

var copyPool = sync.Pool{New: func() any { return new([8 << 10]byte) }}

func (copies) Get() []byte  { return copyPool.Get().(*[8 << 10]byte)[:] }
func (copies) Put(b []byte) { copyPool.Put((*[8 << 10]byte)(b)) }
