package decode

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const (
	shortKey   = "secret"
	laravelKey = "0123456789abcdef0123456789abcdef"
)

func secrets(name string) (string, bool) {
	v, ok := map[string]string{
		"SHORT": shortKey, "LARAVEL": laravelKey, "ENCODED": "base64:" + base64.StdEncoding.EncodeToString([]byte(laravelKey)),
		"WRONG": strings.Repeat("x", 32), "EMPTY": "",
	}[name]
	return v, ok
}

func pipeline(t testing.TB, names ...string) Pipeline {
	t.Helper()
	p, err := New(names, secrets)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDecoders(t *testing.T) {
	for _, c := range []struct{ decoders, in, want string }{
		{"", "as it <is> &amp;", "as it <is> &amp;"},

		// Latin-1 that holds UTF-8 bytes, beside rows that are Latin-1.
		{"repair_utf8", "plain", "plain"},
		{"repair_utf8", "cafÃ©", "café"},
		{"repair_utf8", "café", "café"},
		{"repair_utf8", "Ã©ðŸ‘\u008d", "é👍"},
		{"repair_utf8", "hÃ© 中", "hÃ© 中"},
		{"repair_utf8", "h\xe9\xe9", "héé"},
		{"repair_utf8", "\xc3\xa9\xf0\x9f\x91\x8d", "é👍"},
		{"repair_utf8", "caf\xe9 \xc3\xa9 \x80", "café é €"},
		{"repair_utf8", "â‚¬ 5", "€ 5"},
		{"repair_utf8", "привет", "привет"},

		{"charset:gbk", "\xd6\xd0\xce\xc4 ok", "中文 ok"},
		{"charset:gbk", "ÖÐÎÄ", "中文"},
		{"charset:gbk", "中文", "中文"},
		{"charset:windows-1251", "ïðèâåò", "привет"},

		{"slashes", `it\'s \"so\" C:\\new`, `it's "so" C:\new`},
		{"slashes", `C:\new`, `C:\new`},

		{"entities", "&lt;b&gt; &amp;amp; &#039;x&#39; &hearts; &eacute;", "<b> &amp; 'x' ♥ é"},
		{"entities", "?a=1&copy=2 &nosuch; & &;", "?a=1&copy=2 &nosuch; & &;"},
		{"entities", "&#0; &#x1F44D;", "\uFFFD 👍"},

		{"html", "a < b & c > d", "a < b & c > d"},
		{"html", "I <3 you &amp; &lt;b&gt;", "I <3 you & <b>"},
		{"html", "one\ntwo <b>three</b>\n\nfour", "one\ntwo three\n\nfour"},
		{"html", "<p>one</p>\n<p>two<br />\nthree</p>", "one\ntwo\nthree"},
		{"html", "one<br>\r\n<br>two", "one\n\ntwo"},
		{"html", `see <a href="https://x.test/a?b=1&amp;c=2">the page</a>!`, "see the page (https://x.test/a?b=1&c=2)!"},
		{"html", `<a href="https://x.test">https://x.test</a>`, "https://x.test"},
		{"html", `<p>hi <img class="emoji" alt="😀" src="/e/1.png"> there</p>`, "hi 😀 there"},
		{"html", `<p><img src="upload/cat.jpg"></p>`, "upload/cat.jpg"},
		{"html", `<img src="data:image/png;base64,AAAA">`, "[picture]"},
		{"html", "<ul><li>a</li><li>b</li></ul>", "- a\n- b"},
		{"html", "<blockquote>said</blockquote><p>answer</p>", "> said\nanswer"},
		{"html", "x<script>alert(1)</script>y<!-- no -->z", "xyz"},
		{"html", "<div>a</div><div>b</div>", "a\nb"},
		{"html", "<strong>a</strong> <em>b</em>", "a b"},
		{"html", "x <b", "x "},

		{"bbcode", "[b]bold[/b] [i]it[/i] a[1] [x] [/b", "bold it a[1] [x] [/b"},
		{"bbcode", "[url=https://x.test]page[/url] [url]https://y.test[/url]", "page (https://x.test) https://y.test"},
		{"bbcode", "[img]https://x.test/a.png[/img]", "https://x.test/a.png"},
		{"bbcode", "[quote=ann]one\ntwo[/quote]three", "> ann:\n> one\n> two\nthree"},
		{"bbcode", "[b:3k2jx9ab]old[/b:3k2jx9ab] [list:3k2jx9ab][*:3k2jx9ab]a[/*:m:3k2jx9ab][/list:u:3k2jx9ab]", "old - a"},
		{"bbcode", "[code][b]x[/b][/code]", "[b]x[/b]"},
		{"bbcode", "[color=#ff0000]red[/color] [file=12_ab]", "red [file=12_ab]"},
		{"bbcode", "[quote]never closed", "> never closed\n"},

		{"phpbb_xml", "<t>1 &lt; 2<br/>\nnext</t>", "1 < 2\nnext"},
		{"phpbb_xml", "<t>&amp;amp;</t>", "&amp;"},
		{"phpbb_xml", "<r><B><s>[b]</s>hi<e>[/b]</e></B> <E>:)</E></r>", "hi :)"},
		{"phpbb_xml", `<r><URL url="https://x.test"><s>[url=https://x.test]</s>page<e>[/url]</e></URL></r>`, "page (https://x.test)"},
		{"phpbb_xml", `<r><URL url="https://x.test">https://x.test</URL></r>`, "https://x.test"},
		{"phpbb_xml", `<r><QUOTE author="ann"><s>[quote=ann]</s>said<e>[/quote]</e></QUOTE>yes</r>`, "> ann:\n> said\nyes"},
		{"phpbb_xml", "[b:3k2jx9ab]old[/b:3k2jx9ab] &quot;x&quot;", `old "x"`},
		{"phpbb_xml", `hi <!-- s:) --><img src="{SMILIES_PATH}/icon.gif" alt=":)" title="Smile" /><!-- s:) -->`, "hi :)"},

		{"phpser", "", ""},
		{"phpser", `a:2:{i:0;s:1:"a";i:1;i:-5;}`, `["a",-5]`},
		{"phpser", `a:2:{s:4:"name";s:6:"Zoë é";s:2:"ok";b:1;}`, ""},
		{"phpser", `a:2:{s:4:"name";s:5:"Zoë!";s:2:"ok";b:1;}`, `{"name":"Zoë!","ok":true}`},
		{"phpser", `O:3:"Foo":2:{s:6:"` + "\x00*\x00" + `bar";N;s:1:"d";d:0.5;}`, `{"bar":null,"d":0.5}`},
		{"phpser", `a:1:{i:3;a:0:{}}`, `{"3":[]}`},

		{"aes:SHORT", "", ""},
		{"laravel_crypt:LARAVEL", "plain words", "plain words"},
		{"slashes,html", `<b>it\'s</b>`, "it's"},
	} {
		var names []string
		if c.decoders != "" {
			names = strings.Split(c.decoders, ",")
		}
		got, err := pipeline(t, names...).Decode(c.in)
		if err != nil && !(c.want == "" && c.decoders == "phpser") {
			t.Errorf("%s of %q: %v", c.decoders, c.in, err)
		} else if got != c.want {
			t.Errorf("%s of %q is %q, want %q", c.decoders, c.in, got, c.want)
		}
	}
}

// What is broken is an error, which names the decoder and has nothing of the text.
func TestBrokenTexts(t *testing.T) {
	for decoder, texts := range map[string][]string{
		"phpser":                {"words", `a:1:{i:0;s:9:"secret";}`, `a:99999:{`, "i:1", `s:6:"secret";x`, strings.Repeat(`a:1:{i:0;`, 200)},
		"phpbb_xml":             {"<t>secret", "<r><b>secret</r>", "<t>" + strings.Repeat("<a>", 200)},
		"aes:SHORT":             {"secret!", "c2VjcmV0", base64.StdEncoding.EncodeToString(make([]byte, 32))},
		"laravel_crypt:WRONG":   {laravel(t, "secret", true)},
		"aes:SHORT:aes-256-cbc": {"c2VjcmV0"},
		"charset:gbk":           {"\xff\xffsecret"},
		"laravel_crypt:ENCODED": {base64.StdEncoding.EncodeToString([]byte(`{"iv":"!","value":"!","mac":""}`))},
	} {
		base, _, _ := strings.Cut(decoder, ":")
		for _, text := range texts {
			out, err := pipeline(t, decoder).Decode(text)
			if err == nil || out != "" || !strings.HasPrefix(err.Error(), base+": ") || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s of %.40q: %q, %v", decoder, text, out, err)
			}
		}
	}
}

func TestNew(t *testing.T) {
	for name, want := range map[string]string{
		"htlm": "there is no decoder", "html:x": "takes nothing", "charset:nope": "no encoding", "aes": "needs the name", "aes:NONE": "NONE",
		"aes:EMPTY": "EMPTY", "aes:SHORT:des": "aes-128-ecb", "laravel_crypt:SHORT": "6 bytes",
	} {
		if _, err := New([]string{name}, secrets); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), shortKey) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestEncryption(t *testing.T) {
	key := make([]byte, 16)
	copy(key, shortKey)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	data := pad("hello 中文, which takes two blocks")
	for b := data; len(b) > 0; b = b[16:] {
		block.Encrypt(b[:16], b[:16])
	}
	long := make([]byte, 32)
	copy(long, shortKey)
	big, err := aes.NewCipher(long)
	if err != nil {
		t.Fatal(err)
	}
	iv := []byte("0123456789abcdef")
	cbc := pad("by cbc")
	cipher.NewCBCEncrypter(big, iv).CryptBlocks(cbc, cbc)
	for decoder, c := range map[string]struct{ in, want string }{
		"aes:SHORT":             {base64.StdEncoding.EncodeToString(data), "hello 中文, which takes two blocks"},
		"aes:SHORT:aes-256-cbc": {base64.StdEncoding.EncodeToString(append(iv, cbc...)), "by cbc"},
		"laravel_crypt:LARAVEL": {laravel(t, `s:5:"caché";`, true), `s:5:"caché";`}, // its length is wrong: it stays
		"laravel_crypt:ENCODED": {laravel(t, `s:6:"caché";`, true), "caché"},
	} {
		if got, err := pipeline(t, decoder).Decode(c.in); err != nil || got != c.want {
			t.Errorf("%s: %q, %v", decoder, got, err)
		}
	}
	if got, err := pipeline(t, "laravel_crypt:LARAVEL").Decode(laravel(t, "by gcm", false)); err != nil || got != "by gcm" {
		t.Errorf("gcm: %q, %v", got, err)
	}
}

func pad(s string) []byte {
	n := 16 - len(s)%16
	return append([]byte(s), strings.Repeat(string(rune(n)), n)...)
}

// laravel encrypts as Laravel's Encrypter does.
func laravel(t testing.TB, text string, cbc bool) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(laravelKey))
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.StdEncoding.EncodeToString
	e := map[string]string{}
	if cbc {
		iv, data := []byte("0123456789abcdef"), pad(text)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
		e["iv"], e["value"], e["tag"] = enc(iv), enc(data), ""
		mac := hmac.New(sha256.New, []byte(laravelKey))
		mac.Write([]byte(e["iv"] + e["value"]))
		e["mac"] = hex.EncodeToString(mac.Sum(nil))
	} else {
		mode, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		iv := []byte("0123456789ab")
		sealed := mode.Seal(nil, iv, []byte(text), nil)
		e["iv"], e["value"], e["tag"] = enc(iv), enc(sealed[:len(sealed)-16]), enc(sealed[len(sealed)-16:])
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return enc(b)
}

func TestSuggest(t *testing.T) {
	for text, want := range map[string]Hint{
		"hello": "", "a < b": "", "&lt;": "entities", "<p>x</p>": "html", "[b]x[/b]": "bbcode", "a[0][1]": "", "cafÃ©": "repair_utf8",
		"café": "", `it\'s`: "slashes", "<t>x</t>": "phpbb_xml", `a:1:{i:0;i:1;}`: "phpser", "AT&T; R&D": "",
	} {
		if got := Suggest(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Texts that are made to be slow or to grow are neither.
func TestHostileTexts(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("[quote]", 2_000) + strings.Repeat("\nx", 4_000), "<r>" + strings.Repeat("<QUOTE>", 90) + strings.Repeat("\nx", 4_000) + strings.Repeat("</QUOTE>", 90) + "</r>",
		strings.Repeat("<blockquote>", 2_000) + strings.Repeat("<br>x", 2_000), strings.Repeat("<a href=x>", 2_000) + strings.Repeat("</a>", 2_000),
		strings.Repeat("[url=x]", 2_000) + strings.Repeat("[/url]", 2_000), strings.Repeat("&amp;", 4_000), strings.Repeat("[b", 8_000), strings.Repeat("Ã", 8_000),
		strings.Repeat("a:1:{i:0;", 60) + "a:0:{}" + strings.Repeat("}", 60), strings.Repeat("<!--", 4_000), strings.Repeat("<", 12_000), "<t>" + strings.Repeat("\n", 12_000) + "</t>",
	} {
		for _, name := range []string{"html", "bbcode", "phpbb_xml", "phpser", "entities", "slashes", "repair_utf8"} {
			start := time.Now()
			out, _ := pipeline(t, name).Decode(text) // an error is an answer too
			if took := time.Since(start); took > time.Minute || len(out) > 10*len(text) {
				t.Errorf("%s of %.20q: %d bytes of %d after %v", name, text, len(out), len(text), took)
			}
		}
		Suggest(text)
	}
}

// Whatever a text holds, decoders end, and make valid UTF-8 of valid UTF-8.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"cafÃ©", "&lt;b&gt;", `<p>a<br>b</p><a href="x">y</a>`, "[quote=a]b[/quote]", "<r><B><s>[b]</s>x<e>[/b]</e></B></r>",
		`a:1:{s:1:"k";O:1:"C":0:{}}`, "x\\'y", "c2VjcmV0c2VjcmV0c2VjcmV0"} {
		f.Add(s)
	}
	var all []Pipeline
	for _, name := range Names() {
		switch name {
		case "aes":
			name = "aes:SHORT"
		case "laravel_crypt":
			name = "laravel_crypt:LARAVEL"
		case "charset":
			name = "charset:gbk"
		}
		all = append(all, pipeline(f, name))
	}
	f.Fuzz(func(t *testing.T, s string) {
		Suggest(s)
		for _, p := range all {
			out, err := p.Decode(s)
			if err != nil {
				continue
			}
			name := p[0].name
			if utf8.ValidString(s) && !utf8.ValidString(out) && name != "aes" && name != "laravel_crypt" {
				t.Errorf("%s makes %q of %q", name, out, s)
			}
			if len(out) > 20*len(s)+100 {
				t.Errorf("%s makes %d bytes of %d", name, len(out), len(s))
			}
			if name == "phpser" && out != "" && !json.Valid([]byte(out)) {
				t.Errorf("%q is no JSON", out)
			}
		}
	})
}
