package adopt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// Node speaks to a node over its HTTP API. Safe for concurrent use.
type Node struct {
	base string
	key  string
	http http.Client
}

// NewNode returns the node at the URL, for an API key with the scopes adopt, send and read.
func NewNode(base, key string) (*Node, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, chat.E(chat.Invalid, "roomtide.url must be like https://chat.example.com")
	}
	if key == "" {
		return nil, chat.E(chat.Invalid, `an API key is missing: roomtide.key_env of the mapping names the environment variable that has it, as after export ROOMTIDE_KEY=$(roomtide key add adopt --scope adopt,send,read)`)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = copyParts + 2 // the mirror and the watch have one each
	return &Node{strings.TrimSuffix(base, "/"), key, http.Client{Transport: transport, Timeout: 40 * time.Second}}, nil
}

// Close ends idle connections.
func (n *Node) Close() { n.http.CloseIdleConnections() }

// kinds are those of answers that are no success.
var statusKinds = map[int]chat.Kind{
	http.StatusBadRequest: chat.Invalid, http.StatusUnauthorized: chat.Unauthed, http.StatusForbidden: chat.Forbidden,
	http.StatusNotFound: chat.NotFound, http.StatusConflict: chat.Conflict, http.StatusRequestEntityTooLarge: chat.TooLarge,
}

// call makes a request, and reads the answer into out, unless that is nil. A body that is
// JSON is sent as it is. Errors are chat.Error: Unavailable when the node does not answer
// or says to try again.
func (n *Node) call(ctx context.Context, method, path string, body, out any) error {
	var sent io.Reader
	if raw, ok := body.(json.RawMessage); ok {
		sent = bytes.NewReader(raw)
	} else if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, n.base+path, sent)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+n.key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return &chat.Error{Kind: chat.Unavailable, Op: "adopt.node", Text: "the node at " + n.base + " does not answer", Err: err}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return &chat.Error{Kind: chat.Unavailable, Op: "adopt.node", Text: "the answer of the node did not come in whole", Err: err}
	}
	if resp.StatusCode >= 300 {
		return problemOf(resp.StatusCode, raw)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return &chat.Error{Kind: chat.Invalid, Op: "adopt.node", Text: "the node at " + n.base + " answers with something else than Roomtide", Err: err}
	}
	return nil
}

// problem is an error of the node.
type problem struct {
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

func problemOf(status int, raw []byte) error {
	var p problem
	if json.Unmarshal(raw, &p) != nil || p.Code == "" {
		p.Detail = "the node answers with status " + strconv.Itoa(status)
	}
	kind, known := statusKinds[status]
	if !known {
		kind = chat.Unavailable
	}
	return &chat.Error{Kind: kind, Op: "adopt.node", Text: p.Detail}
}

// part is a request of POST /v1/import.
type part struct {
	History  bool         `json:"history,omitempty"`
	Raise    bool         `json:"raise,omitempty"`
	Rooms    []roomItem   `json:"rooms,omitempty"`
	Users    []userItem   `json:"users,omitempty"`
	Members  []memberItem `json:"members,omitempty"`
	Messages []item       `json:"messages,omitempty"`
	Reads    []readItem   `json:"reads,omitempty"`
}

type roomItem struct {
	Room  string `json:"room"`
	Title string `json:"title,omitempty"`
	Open  bool   `json:"open"`
}

type userItem struct {
	User string `json:"user"`
	Name string `json:"name,omitempty"`
}

type memberItem struct {
	Room string `json:"room"`
	User string `json:"user"`
	Role string `json:"role,omitempty"`
}

type readItem struct {
	Room string `json:"room"`
	User string `json:"user"`
	Seq  int64  `json:"seq"`
}

// told is the answer.
type told struct {
	Messages []*struct {
		Seq, Rev         int64
		Created, Changed bool
	}
	Reads    []*int64 // where each mark stands
	Problems []struct {
		List    string
		Item    int
		Problem problem
		Status  int
	}
}

// retry is the error of what the node could not do now, nil if there is none.
func (t *told) retry() error {
	for _, p := range t.Problems {
		if p.Status >= 500 || p.Status == http.StatusTooManyRequests {
			return &chat.Error{Kind: chat.Unavailable, Op: "adopt.import", Text: p.Problem.Detail}
		}
	}
	return nil
}

func (n *Node) importPart(ctx context.Context, p *part) (*told, error) {
	return n.imported(ctx, p, len(p.Messages))
}

// importBody is importPart of what is encoded already, with so many messages.
func (n *Node) importBody(ctx context.Context, body json.RawMessage, messages int) (*told, error) {
	return n.imported(ctx, body, messages)
}

func (n *Node) imported(ctx context.Context, body any, messages int) (*told, error) {
	var t told
	if err := n.call(ctx, http.MethodPost, "/v1/import", body, &t); err != nil {
		return nil, err
	}
	if len(t.Messages) != messages {
		return nil, chat.E(chat.Internal, fmt.Sprintf("the node answers for %d messages of %d", len(t.Messages), messages))
	}
	return &t, t.retry()
}

// marks moves read marks forward, and returns where each stands now; -1: it was refused, as
// the room is not there. With the number 0 nothing moves.
func (n *Node) marks(ctx context.Context, all []readItem) ([]int64, error) {
	t, err := n.importPart(ctx, &part{Reads: all})
	if err != nil {
		return nil, err
	}
	if len(t.Reads) != len(all) {
		return nil, chat.E(chat.Internal, fmt.Sprintf("the node answers for %d read marks of %d", len(t.Reads), len(all)))
	}
	stand := make([]int64, len(all))
	for i, at := range t.Reads {
		if stand[i] = -1; at != nil {
			stand[i] = *at
		}
	}
	return stand, nil
}

// Adoption is which chat is in force.
type Adoption struct {
	State      string `json:"state"` // store.AdoptionState, or "none"
	Generation int64  `json:"generation"`
	Source     string `json:"source"`
	Changed    string `json:"changed"`
}

// Adoption asks the node.
func (n *Node) Adoption(ctx context.Context) (a Adoption, err error) {
	err = n.call(ctx, http.MethodGet, "/v1/adoption", nil, &a)
	return a, err
}

// setAdoption says the next state.
func (n *Node) setAdoption(ctx context.Context, from Adoption, source, state string) (a Adoption, err error) {
	err = n.call(ctx, http.MethodPut, "/v1/adoption", map[string]any{"source": source, "state": state, "generation": from.Generation + 1}, &a)
	return a, err
}

// advance is setAdoption that may be said again: it may have been saved without an answer, so
// that a conflict is none where the state is the one that was said. Otherwise it returns what
// is, with the conflict.
func (n *Node) advance(ctx context.Context, from Adoption, source, state string) (now Adoption, err error) {
	now, err = n.setAdoption(ctx, from, source, state)
	if chat.KindOf(err) != chat.Conflict {
		return now, err
	}
	now, err = n.Adoption(ctx)
	if err == nil && (now.State != state || now.Source != source) {
		err = chat.E(chat.Conflict, "the move is in the state "+now.State+` by now, as another command or program said: "roomtide adopt status" shows it`)
	}
	return now, err
}

// said is an event of the feed, as far as the mirror looks into it.
type said struct {
	Type string  `json:"type"`
	Data message `json:"data"`
}

// message is a message as the node shows it.
type message struct {
	Room    string          `json:"room"`
	Seq     int64           `json:"seq"`
	Rev     int64           `json:"rev"`
	User    string          `json:"user"`
	Name    string          `json:"name"`
	Text    string          `json:"message"`
	Time    time.Time       `json:"time"`
	Edited  *time.Time      `json:"edited"`
	Key     string          `json:"key"`
	Deleted bool            `json:"deleted"`
	Data    json.RawMessage `json:"data"`
}

// hash is that of what the old table would say the same of. Data that is not one of texts
// counts as it is written.
func (m *message) hash(room string) hash {
	var data map[string]string
	if len(m.Data) > 0 && json.Unmarshal(m.Data, &data) != nil {
		data = map[string]string{"": string(m.Data)}
	}
	return hashOf(room, m.User, m.Text, data, m.Deleted)
}

type feedPage struct {
	Events []said `json:"events"`
	Next   string `json:"next"`
}

func (n *Node) makeFeed(ctx context.Context, name string) error {
	return n.call(ctx, http.MethodPut, "/v1/feeds/"+name, nil, nil)
}

func (n *Node) dropFeed(ctx context.Context, name string) error {
	err := n.call(ctx, http.MethodDelete, "/v1/feeds/"+name, nil, nil)
	if chat.KindOf(err) == chat.NotFound {
		return nil
	}
	return err
}

func (n *Node) readFeed(ctx context.Context, name, after string, limit int, wait time.Duration) (p feedPage, err error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}, "wait": {strconv.Itoa(int(wait.Seconds()))}}
	if after != "" {
		q.Set("after", after)
	}
	err = n.call(ctx, http.MethodGet, "/v1/feeds/"+name+"?"+q.Encode(), nil, &p)
	return p, err
}

// messages are those of a room after a number, in order.
func (n *Node) messages(ctx context.Context, room string, after int64) (all []message, more bool, err error) {
	var page struct {
		Messages []message `json:"messages"`
		More     bool      `json:"more"`
	}
	err = n.call(ctx, http.MethodGet, "/v1/rooms/"+url.PathEscape(room)+"/messages?limit=100&after="+strconv.FormatInt(after, 10), nil, &page)
	return page.Messages, page.More, err
}

// retryable reports whether an error is over by itself.
func retryable(err error) bool {
	var e *chat.Error
	return errors.As(err, &e) && e.Kind.Retryable()
}
