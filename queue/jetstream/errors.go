package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/roomtide/roomtide/chat"
)

// ErrNone is in the error of Open if the servers have no JetStream for this node.
var ErrNone = errors.New("there is no JetStream")

// Codes of JetStream that nats.go has no names for.
const (
	codeNoPeers       js.ErrorCode = 10005 // too few servers, or none with so much space
	codeNotAvailable  js.ErrorCode = 10008 // the servers have no leader
	codeNoResources   js.ErrorCode = 10023
	codeMaxStreams    js.ErrorCode = 10027
	codeNoStorage     js.ErrorCode = 10047
	codeBadStream     js.ErrorCode = 10052
	codeMsgTooLarge   js.ErrorCode = 10054
	codeOverlap       js.ErrorCode = 10065
	codeNoReplicas    js.ErrorCode = 10074 // the server is alone
	codeStoreFailed   js.ErrorCode = 10077
	codeNeedsMaxBytes js.ErrorCode = 10113
	codeNoLimits      js.ErrorCode = 10120
	codeMaxBytes      js.ErrorCode = 10122
)

// codeOf is the code of an answer of JetStream, 0 of another error.
func codeOf(err error) js.ErrorCode {
	var api *js.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	var known js.JetStreamError
	if errors.As(err, &known) && known.APIError() != nil {
		return known.APIError().ErrorCode
	}
	return 0
}

// explain makes the error of a call.
func explain(op string, err error) error {
	e := &chat.Error{Kind: chat.Unavailable, Op: "queue." + op, Err: err}
	code := codeOf(err)
	switch {
	case errors.Is(err, nats.ErrMaxPayload), code == codeMsgTooLarge:
		e.Kind, e.Text = chat.TooLarge, "the entry is larger than NATS takes"
	case code == codeStoreFailed && strings.Contains(err.Error(), "maximum"):
		e.Kind, e.Text = chat.Busy, "the queue is full: raise queue.mib, or see why nothing is taken from it"
	case code == codeNoResources, code == codeNoStorage:
		e.Kind, e.Text = chat.Busy, "the NATS servers have no space left for the queue"
	case errors.Is(err, errLeaderless), errors.Is(err, js.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders), code == codeNotAvailable:
		e.Text = "the queue has no leader now, or its stream is gone"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		e.Text = "the queue does not answer in time"
	default:
		e.Text = "the queue does not answer"
	}
	return e
}

// explainSetup makes the error of making or changing the stream. What is Unavailable is
// tried again.
func (q *Queue) explainSetup(err error) error {
	e := &chat.Error{Kind: chat.Invalid, Op: "queue.open", Subject: q.name, Err: err}
	code := codeOf(err)
	if errors.Is(err, nats.ErrNoResponders) {
		code = js.JSErrCodeJetStreamNotEnabled
	}
	switch code {
	case js.JSErrCodeJetStreamNotEnabled:
		e.Text, e.Err = "the NATS servers have no JetStream: enable it with a jetstream block in their configuration, or set queue.mode to off", errors.Join(ErrNone, err)
	case js.JSErrCodeJetStreamNotEnabledForAccount, codeNoLimits:
		e.Text, e.Err = "JetStream is not enabled for the account of this node: enable it for the account, use the user of another one, or set queue.mode to off", errors.Join(ErrNone, err)
	case codeNoPeers:
		if q.cfg.Replicas == 0 && tooFew(err) && time.Since(q.began) < q.cfg.timing.few {
			e.Kind = chat.Unavailable
		}
		e.Text = fmt.Sprintf("too few NATS servers with JetStream have space for %d bytes of the queue, which they reserve: lower queue.mib or queue.replicas, or start all servers of a new cluster", q.maxBytes())
	case codeNoReplicas:
		e.Text = "the NATS server is alone: set queue.replicas to 1, or use three servers"
	case codeNoResources, codeNoStorage, codeMaxBytes:
		e.Text = fmt.Sprintf("the NATS servers do not give %d bytes to the queue: lower queue.mib, or raise the limits of the account or max_file_store of the servers", q.maxBytes())
	case codeNeedsMaxBytes, codeMaxStreams:
		e.Text = "the limits of the account of this node have no room for the stream of the queue"
	case codeOverlap:
		e.Text = "the subjects " + q.subjects() + " belong to another stream" + q.overlapping() + ": take them out of that one, or give this deployment NATS servers, or an account, of its own"
	case codeBadStream, js.JSErrCodeStreamNameInUse:
		e.Text = "the stream cannot be as the queue needs it"
	default:
		e.Kind = chat.Unavailable
		switch {
		case errors.Is(err, errLeaderless), code == codeNotAvailable:
			e.Text = "the queue has no leader now: a quorum of its servers must run, all of them when they are new"
		case code != 0:
			e.Text = "JetStream refuses the stream of the queue for now"
		case errors.Is(q.cfg.NATS.LastError(), nats.ErrPermissionViolation):
			e.Kind, e.Err = chat.Invalid, errors.Join(err, q.cfg.NATS.LastError())
			e.Text = "the user of this node lacks a right at NATS: to publish to $JS.API.> and " + q.subjects() + ", and to subscribe to _INBOX.>"
		default:
			e.Text = "JetStream does not answer: a quorum of its servers must run, all of them when they are new"
		}
	}
	return e
}

// overlapping names the stream that has the queue's subjects, as far as JetStream tells.
func (q *Queue) overlapping() string {
	ctx, cancel := context.WithTimeout(context.Background(), q.cfg.timing.answer)
	defer cancel()
	name, err := q.js.StreamNameBySubject(ctx, q.subjects())
	if err != nil {
		return ""
	}
	return ", " + name
}

func errClosed(op string) error {
	return &chat.Error{Kind: chat.Unavailable, Op: "queue." + op, Text: "the queue is closed"}
}

func tooLarge(size int, largest int64) error {
	return &chat.Error{Kind: chat.TooLarge, Op: "queue.append", Text: fmt.Sprintf("an entry of %d bytes, NATS takes %d", size, largest)}
}
