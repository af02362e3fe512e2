package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
)

// The picture that the host has given for a user is beside the messages of that user;
// its site is not told where it is shown. The letter stays where the picture cannot
// be loaded.
func TestAvatars(t *testing.T) {
	n := startNode(t)
	asked := make(chan *http.Request, 10)
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ben.svg" {
			http.NotFound(w, r)
			return
		}
		asked <- r
		w.Header().Set("Content-Type", "image/svg+xml")
		fmt.Fprint(w, `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>`)
	}))
	t.Cleanup(site.Close)
	key := "Bearer " + n.run("key", "add", "host", "--scope", "*")
	host := func(method, path, body string) { t.Helper(); n.call(method, "v1/"+path, key, body, nil) }
	host("PUT", "rooms/lobby", `{"open":true}`)
	for user, avatar := range map[string]string{"ben": site.URL + "/ben.svg", "carol": "/static/icon.svg", "dan": site.URL + "/none.svg", "eve": ""} {
		host("PUT", "users/"+user, `{"avatar":"`+avatar+`"}`)
		host("PUT", "rooms/lobby/members/"+user, `{"role":"member"}`)
		host("POST", "rooms/lobby/messages", `{"user":"`+user+`","message":"from `+user+`"}`)
	}
	ada := openWindow(t, "ada")
	ignore := security.SetIgnoreCertificateErrorsParams{Ignore: true}
	if _, err := chromedp.Call(ada.ctx, security.SetIgnoreCertificateErrors, ignore); err != nil {
		t.Fatal(err)
	}
	ada.enter(n, "")
	badge := func(user string) string {
		return `[...document.querySelectorAll('.message')].find((m) => m.innerText.includes('from ` + user + `')).querySelector('.avatar')`
	}
	for _, user := range []string{"ben", "carol"} {
		ada.wait("the picture of "+user, badge(user)+`.querySelector('img').naturalWidth > 0`)
		ada.wait("its size", `(() => {
			const r = `+badge(user)+`.querySelector('img').getBoundingClientRect();
			return r.width === 32 && r.height === 32;
		})()`)
	}
	for _, user := range []string{"dan", "eve"} {
		ada.wait("the letter of "+user, badge(user)+`.textContent === '`+string(user[0]-32)+`' && !`+badge(user)+`.querySelector('img')`)
	}
	if r := <-asked; r.Header.Get("Referer") != "" || r.Header.Get("Origin") != "" {
		t.Errorf("the site of the picture is told %q, %q", r.Header.Get("Referer"), r.Header.Get("Origin"))
	}
	// A new one appears, and one that is taken away goes, where they are shown.
	host("PUT", "users/eve", `{"avatar":"/static/icon.svg"}`)
	host("PUT", "users/ben", `{"avatar":""}`)
	ada.wait("the new picture", badge("eve")+`.querySelector('img').naturalWidth > 0`)
	ada.wait("the letter", badge("ben")+`.textContent === 'B' && !`+badge("ben")+`.querySelector('img')`)
}
