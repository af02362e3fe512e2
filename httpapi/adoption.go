package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// While another chat moves in (package adopt), back ends have to know which of the two is
// in force. Every answer says it, and a request that writes can say by which generation it
// was made: one of another generation is refused, so that nothing is written the way that is no
// longer right.
const (
	adoptionHeader   = "Roomtide-Adoption"
	generationHeader = "Roomtide-Generation"

	adoptionAge  = time.Second     // for which what is known of an adoption counts
	adoptionTime = 2 * time.Second // for the control database to tell it
)

// adoptions remembers what the control database says.
type adoptions struct {
	log store.AdoptionLog // nil: no chat moves in
	now func() time.Time

	mu      sync.Mutex
	known   store.Adoption
	read    time.Time
	reading bool
}

// current is what is known, at most about adoptionAge old: one request in that time asks
// again. While the control database does not answer it may be older.
func (a *adoptions) current(ctx context.Context) store.Adoption {
	a.mu.Lock()
	known := a.known
	if a.log == nil || a.reading || a.now().Sub(a.read) < adoptionAge {
		a.mu.Unlock()
		return known
	}
	a.reading = true
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, adoptionTime)
	defer cancel()
	fresh, err := a.log.Adoption(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reading = false
	a.read = a.now()
	if err == nil {
		a.known = fresh
	}
	return a.known
}

// forget has the next request ask again.
func (a *adoptions) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read = time.Time{}
}

// checkAdoption tells the client which chat is in force, and refuses what was made for
// another state.
func (c *call) checkAdoption() error {
	now := c.adoptions.current(c.ctx)
	if now.Generation > 0 {
		c.w.Header().Set(adoptionHeader, fmt.Sprintf("%s; generation=%d", now.State, now.Generation))
	}
	said := c.r.Header.Get(generationHeader)
	if said == "" || c.r.Method == http.MethodGet {
		return nil
	}
	n, err := strconv.ParseInt(said, 10, 64)
	switch {
	case err != nil || n < 0:
		return chat.E(chat.Invalid, generationHeader+" is not a number")
	case now.State == store.AdoptionSwitching:
		return &chat.Error{Kind: chat.Unavailable, Text: "the chat is being switched over, try again", RetryAfter: 500}
	case n != now.Generation:
		return chat.E(chat.Conflict, "the generation is "+strconv.FormatInt(now.Generation, 10)+" now: look which chat is in force")
	}
	return nil
}

// adoptionBody is what is known of an adoption in an answer.
type adoptionBody struct {
	State      string `json:"state"`
	Generation int64  `json:"generation"`
	Source     string `json:"source,omitempty"`
	Changed    string `json:"changed,omitempty"`
}

func adoptionAnswer(a *store.Adoption) (answer, error) {
	body := adoptionBody{State: string(cmp.Or(a.State, "none")), Generation: a.Generation, Source: a.Source}
	if a.Changed != 0 {
		body.Changed = time.UnixMilli(a.Changed).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return object(http.StatusOK, body)
}

func (c *call) getAdoption() (answer, error) {
	if !c.actor.Server {
		return answer{}, chat.E(chat.Forbidden, "only an API key may ask which chat is in force")
	}
	a, err := c.adoptions.log.Adoption(c.ctx)
	if err != nil {
		return answer{}, err
	}
	return adoptionAnswer(&a)
}

// putAdoption says that the other chat has come a step further, or back.
func (c *call) putAdoption() (answer, error) {
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	a := store.Adoption{Changed: time.Now().UnixMilli()}
	var state string
	if err := cmp.Or(f.get("source", "a string", &a.Source), f.get("state", "a string", &state), f.get("generation", "a number", &a.Generation),
		chat.CheckName("source", a.Source, c.cfg.Limits.NameBytes)); err != nil {
		return answer{}, err
	}
	if a.State = store.AdoptionState(state); !a.State.Known() {
		return answer{}, chat.E(chat.Invalid, "state must be copying, following, switching, switched or done")
	}
	defer c.adoptions.forget()
	if err := c.adoptions.log.SaveAdoption(c.ctx, a); err != nil {
		return answer{}, err
	}
	return adoptionAnswer(&a)
}
