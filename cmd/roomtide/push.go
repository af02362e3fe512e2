package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/roomtide/roomtide/internal/atomicfile"
	"github.com/roomtide/roomtide/push/standin"
)

type pushVerb struct {
	Test    pushTestVerb  `cmd:"" help:"Push to every device of a user, and show what the services say."`
	Dead    pushDeadVerb  `cmd:"" help:"List notifications that were given up."`
	Retry   pushRetryVerb `cmd:"" help:"Send notifications that were given up after all."`
	Drop    pushDropVerb  `cmd:"" help:"Delete notifications that were given up."`
	Key     pushKeyVerb   `cmd:"" help:"Make a key for Web Push (VAPID), which the nodes of a cluster share."`
	StandIn standInVerb   `cmd:"" name:"stand-in" help:"Run a server that behaves as FCM, APNs and a Web Push service do, for development."`
}

type standInVerb struct {
	Listen string `default:"127.0.0.1:9443" help:"Address to listen on, with TLS."`
	Dir    string `default:"push-stand-in" placeholder:"DIR" help:"Where the certificate and the credentials go, which are new with each start."`
}

func (*standInVerb) Help() string {
	return `Checks what the real services check: TLS, HTTP/2, signatures and times of tokens, headers, sizes, and
the encryption of Web Push. Prints each notification that it takes as a line of JSON, and fails on demand;
docs/push.md has the requests. Its credentials are worth nothing elsewhere.

Example:

    roomtide push stand-in --listen 127.0.0.1:9443 --dir /tmp/stand-in`
}

func (v *standInVerb) Run(a *app) error {
	var mu sync.Mutex
	lines := json.NewEncoder(a.stdout)
	s, err := standin.Open(standin.Config{Listen: v.Listen, Accepted: func(n standin.Notification) {
		mu.Lock()
		defer mu.Unlock()
		_ = lines.Encode(n) // without an output it still stands in
	}})
	if err != nil {
		return err
	}
	if err := v.write(a, s); err != nil {
		return errors.Join(err, s.Close())
	}
	<-a.ctx.Done()
	return s.Close()
}

// write writes the files, and tells where everything is.
func (v *standInVerb) write(a *app, s *standin.Server) error {
	if err := os.MkdirAll(v.Dir, 0o700); err != nil {
		return err
	}
	ca, account, key := filepath.Join(v.Dir, "certificate.pem"), filepath.Join(v.Dir, "service-account.json"), filepath.Join(v.Dir, "AuthKey_"+standin.KeyID+".p8")
	for path, content := range map[string][]byte{ca: s.Certificate(), account: s.Account(), key: s.P8()} {
		if err := atomicfile.Write(path, content); err != nil {
			return err
		}
	}
	firebase, _ := s.NewFCM()
	device, _ := s.NewAPNs("production")
	browser, _, err := s.NewWebPush("")
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, `Stands in for FCM, APNs and a Web Push service at %[1]s
  certificate  %[2]s
  fcm          %[1]s with %[3]s
               target %[6]s
  apns         %[1]s, sandbox %[1]s/sandbox, with %[4]s, key id %[5]s, team id %[9]s, topic %[10]s
               target %[7]s
  webpush      target %[8]s
More targets: POST %[1]s/standin/targets. What is answered: POST %[1]s/standin/answers.
`, s.URL(), ca, account, key, standin.KeyID, firebase, device, browser, standin.TeamID, standin.Topic)
	return nil
}
