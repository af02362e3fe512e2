package websocket

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestChooseDeflate(t *testing.T) {
	const yes = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for _, tt := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"nothing", nil, ""},
		{"an empty line", []string{""}, ""},
		{"the name alone", []string{"permessage-deflate"}, yes},
		{"what Chrome and Firefox offer", []string{"permessage-deflate; client_max_window_bits"}, yes},
		{"what we offer", []string{deflateTerms}, yes},
		{"another name", []string{"x-webkit-deflate-frame"}, ""},
		{"a longer name", []string{"permessage-deflated"}, ""},
		{"another case", []string{"PerMessage-Deflate"}, ""},
		{"unknown extensions first", []string{`foo, bar; x=1; y="a, b; \"c", permessage-deflate`}, yes},
		{"several lines", []string{"foo; x", "permessage-deflate"}, yes},
		{"empty elements", []string{", ,\t,permessage-deflate,"}, yes},
		{"no space", []string{"foo,permessage-deflate;client_max_window_bits=15"}, yes},
		{"much space", []string{"  permessage-deflate \t ;  client_max_window_bits  =  10 ; server_no_context_takeover  "}, yes},
		{"client window 8", []string{"permessage-deflate; client_max_window_bits=8"}, yes},
		{"client window 7", []string{"permessage-deflate; client_max_window_bits=7"}, ""},
		{"client window 16", []string{"permessage-deflate; client_max_window_bits=16"}, ""},
		{"client window 08", []string{"permessage-deflate; client_max_window_bits=08"}, ""},
		{"client window empty", []string{`permessage-deflate; client_max_window_bits=""`}, ""},
		{"server window 15", []string{"permessage-deflate; server_max_window_bits=15"}, yes + "; server_max_window_bits=15"},
		{"server window quoted", []string{`permessage-deflate; server_max_window_bits="15"`}, yes + "; server_max_window_bits=15"},
		{"server window escaped", []string{`permessage-deflate; server_max_window_bits="1\5"`}, yes + "; server_max_window_bits=15"},
		{"server window 14", []string{"permessage-deflate; server_max_window_bits=14"}, ""},
		{"server window 8", []string{"permessage-deflate; server_max_window_bits=8"}, ""},
		{"server window 015", []string{"permessage-deflate; server_max_window_bits=015"}, ""},
		{"server window -1", []string{"permessage-deflate; server_max_window_bits=-1"}, ""},
		{"server window without a number", []string{"permessage-deflate; server_max_window_bits"}, ""},
		{"a smaller window or none", []string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, yes},
		{"the second line will do", []string{"permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=15"}, yes + "; server_max_window_bits=15"},
		{"the first that will do", []string{"permessage-deflate, permessage-deflate; server_max_window_bits=15"}, yes},
		{"takeover with a value", []string{"permessage-deflate; server_no_context_takeover=1"}, ""},
		{"takeover with a quoted value", []string{`permessage-deflate; client_no_context_takeover=""`}, ""},
		{"unknown parameter", []string{"permessage-deflate; window=15"}, ""},
		{"unknown parameter, then another offer", []string{"permessage-deflate; window=15, permessage-deflate"}, yes},
		{"takeover twice", []string{"permessage-deflate; client_no_context_takeover; client_no_context_takeover"}, ""},
		{"server takeover twice", []string{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}, ""},
		{"client window twice", []string{"permessage-deflate; client_max_window_bits; client_max_window_bits"}, ""},
		{"server window twice", []string{"permessage-deflate; server_max_window_bits=15; server_max_window_bits=15"}, ""},
		{"no name", []string{"; x, permessage-deflate"}, ""},
		{"no parameter", []string{"permessage-deflate;, permessage-deflate"}, ""},
		{"no value", []string{"permessage-deflate; client_max_window_bits=, permessage-deflate"}, ""},
		{"two names", []string{"permessage-deflate foo"}, ""},
		{"a quote without end", []string{`foo; x="permessage-deflate`, "permessage-deflate"}, ""},
		{"an escape without end", []string{`foo; x="\`}, ""},
		{"a control character", []string{"foo\x01, permessage-deflate"}, ""},
		{"beyond ASCII", []string{"ſoo, permessage-deflate"}, ""},
		{"what comes later is not read", []string{"permessage-deflate, ((("}, yes},
		{"the last that is looked at", []string{strings.Repeat("a,", maxOffers-1), "permessage-deflate"}, ""},
		{"one fewer", []string{strings.Repeat("a,", maxOffers-2) + "permessage-deflate"}, yes},
	} {
		if got := chooseDeflate(http.Header{extensionsField: tt.lines}); got != tt.want {
			t.Errorf("%s: answer %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A list of any length and form takes a time that grows with its length only.
func TestChooseDeflateIsLinear(t *testing.T) {
	start := time.Now()
	for _, tt := range []struct{ head, again string }{
		{"", ","}, {"", ";"}, {"", " "}, {"", "a"}, {"", "\""}, {"", "\\"}, {"", "a,"}, {"", "a;"}, {"", "a ; b ,"},
		{"permessage-deflate", ";"}, {"permessage-deflate", " "}, {"permessage-deflate", "; a"}, {"permessage-deflate", ";a=\"\""},
		{"permessage-deflate", "; client_max_window_bits"}, {"permessage-deflate", ", permessage-deflate; x"},
		{"a; b=\"", "x"}, {"a; b=\"", "\\\""}, {"a; b=\"", ","}, {"a; b", " = c ; b"}, {"a;", "\t "},
	} {
		h := http.Header{extensionsField: {tt.head + strings.Repeat(tt.again, (64<<10)/len(tt.again))}}
		for range 20 {
			chooseDeflate(h)
		}
		h[extensionsField] = strings.Split(h[extensionsField][0], ",")
		chooseDeflate(h)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("lists of 64 KiB took %v", d)
	}
}

// upgradeWith returns what a server answers to the extension fields.
func upgradeWith(t *testing.T, opts UpgradeOptions, fields string) http.Header {
	t.Helper()
	srv, _ := serve(t, opts)
	nc, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	go io.WriteString(nc, request(fields))
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("answer %v, %v", resp, err)
	}
	return resp.Header
}

func TestUpgradeAnswersDeflate(t *testing.T) {
	long := strings.Repeat("permessage-deflate; a, ", 2500) + "b"
	for _, tt := range []struct {
		name   string
		opts   UpgradeOptions
		fields string
		want   string
	}{
		{"off by default", UpgradeOptions{}, "Sec-WebSocket-Extensions: permessage-deflate\r\n", ""},
		{"not asked for", UpgradeOptions{Deflate: true}, "", ""},
		{"asked for", UpgradeOptions{Deflate: true}, "sec-websocket-extensions: permessage-deflate\r\n", deflateTerms},
		{"on the second line", UpgradeOptions{Deflate: true}, "Sec-WebSocket-Extensions: x\r\nSec-WebSocket-Extensions: permessage-deflate\r\n", deflateTerms},
		{"64 KiB", UpgradeOptions{Deflate: true}, "Sec-WebSocket-Extensions: " + long + "\r\n", ""},
	} {
		if got := strings.Join(upgradeWith(t, tt.opts, tt.fields)[extensionsField], "|"); got != tt.want {
			t.Errorf("%s: answer %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDialChecksDeflate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields string
		want   string // "yes", "no" or "error"
	}{
		{"none", "", "no"},
		{"an empty one", "Sec-WebSocket-Extensions:\r\n", "no"},
		{"what was offered", "Sec-WebSocket-Extensions: " + deflateTerms + "\r\n", "yes"},
		{"the other way round", "Sec-WebSocket-Extensions: permessage-deflate;client_no_context_takeover;server_no_context_takeover\r\n", "yes"},
		{"with a window for itself", "Sec-WebSocket-Extensions: " + deflateTerms + "; server_max_window_bits=9\r\n", "yes"},
		{"with a wrong window", "Sec-WebSocket-Extensions: " + deflateTerms + "; server_max_window_bits=16\r\n", "error"},
		{"with a window for us", "Sec-WebSocket-Extensions: " + deflateTerms + "; client_max_window_bits=15\r\n", "error"},
		{"its own context", "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n", "error"},
		{"our context", "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n", "error"},
		{"neither", "Sec-WebSocket-Extensions: permessage-deflate\r\n", "error"},
		{"a parameter twice", "Sec-WebSocket-Extensions: " + deflateTerms + "; client_no_context_takeover\r\n", "error"},
		{"an unknown parameter", "Sec-WebSocket-Extensions: " + deflateTerms + "; x\r\n", "error"},
		{"another extension", "Sec-WebSocket-Extensions: x\r\n", "error"},
		{"another as well", "Sec-WebSocket-Extensions: " + deflateTerms + ", x\r\n", "error"},
		{"another on a second line", "Sec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: x\r\n", "error"},
		{"twice", "Sec-WebSocket-Extensions: " + deflateTerms + "\r\nSec-WebSocket-Extensions: " + deflateTerms + "\r\n", "error"},
		{"no list", "Sec-WebSocket-Extensions: \"\r\n", "error"},
	} {
		url := answerWith(t, func(key string) string {
			return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				tt.fields + "Sec-WebSocket-Accept: " + Accept(key) + "\r\n\r\n"
		})
		got := "error"
		c, err := (&Dialer{Deflate: true}).Dial(testContext(t), url, nil)
		if err == nil {
			got = map[bool]string{true: "yes", false: "no"}[c.Deflate()]
			c.Close()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s (%v)", tt.name, got, tt.want, err)
		}
		if c, err := Dial(testContext(t), url, nil); err == nil {
			if c.Close(); tt.want != "no" {
				t.Errorf("%s: accepted by a client that offered nothing", tt.name)
			}
		}
	}
}
