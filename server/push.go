package server

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/internal/atomicfile"
	"github.com/roomtide/roomtide/internal/egress"
	"github.com/roomtide/roomtide/internal/planted"
	"github.com/roomtide/roomtide/notify"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/push/apns"
	"github.com/roomtide/roomtide/push/fcm"
	"github.com/roomtide/roomtide/push/logpush"
	"github.com/roomtide/roomtide/push/webpush"
)

// openGateway builds the push services that the settings name. One whose credentials are
// no good is named in the log, and chat goes on without it: its devices stay, and their
// notifications wait as long as they are worth something.
func (s *Server) openGateway() (err error) {
	roots, err := pushRoots(s.cfg.Push.CAFile)
	if err != nil {
		s.log.Error("push: no service is used", "err", err)
		return s.newGateway(nil)
	}
	var providers []push.Provider
	for _, d := range []struct {
		setting string
		open    func(*x509.CertPool) (push.Provider, error)
	}{
		{"push.fcm_account_file", s.openFCM}, {"push.apns_key_file", s.openAPNs}, {"push.webpush_subject", s.openWebPush},
	} {
		p, err := d.open(roots)
		switch {
		case err != nil:
			s.log.Error("push: a service cannot be used; chat goes on without it", "setting", d.setting, "err", err)
		case p != nil:
			providers = append(providers, p)
		}
	}
	if s.cfg.Push.Log {
		providers = append(providers, logpush.New(s.log))
	}
	return s.newGateway(providers)
}

func (s *Server) newGateway(providers []push.Provider) (err error) {
	s.gateway, err = push.NewGateway(push.Config{Providers: providers, Log: s.log, Registerer: s.reg})
	if err != nil {
		return err
	}
	names := make([]string, len(providers))
	for i, p := range providers {
		names[i] = p.Name()
	}
	if len(names) > 0 {
		s.log.Info("push notifications", "providers", names)
	}
	s.onClose(func() {
		if err := s.gateway.Close(); err != nil {
			s.log.Warn("push: a service did not close", "err", err)
		}
	})
	return nil
}

// pushJobs is the consumer that makes jobs for members who are away. It is registered
// also where nothing is pushed, so that the outbox keeps nothing for it.
func (s *Server) pushJobs() outbox.Consumer {
	c := &s.cfg.Push
	return notify.Jobs(notify.JobsConfig{
		Store: s.store, Lanes: s.lanes, Foreground: s.foreground,
		Now: planted.Now, Off: !c.Used(), Delay: time.Duration(c.Delay), TTL: time.Duration(c.TTL), Members: c.Members,
	})
}

// openSender makes what sends jobs. It sends for the lanes that this node owns, and is
// closed before them.
func (s *Server) openSender() {
	s.sender = notify.NewSender(notify.SenderConfig{
		Store: s.store, Lanes: s.lanes, Gateway: s.gateway, Foreground: s.foreground, Secret: s.secret,
		Off: !s.cfg.Push.Used(), Members: s.cfg.Push.Members, Language: s.cfg.Push.Language, Hidden: s.cfg.Push.Hidden, Now: planted.Now, Log: s.log, Registerer: s.reg,
	})
	s.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.cfg.DrainTimeout))
		defer cancel()
		s.sender.Close(ctx)
	})
}

// startSender begins to send on a single node; one of several does when it owns a lane.
func (s *Server) startSender() {
	if s.peers != nil {
		return
	}
	for shard := range s.store.Shards() {
		s.sender.Start(shard)
	}
}

// targets check what devices register with; nil: nothing is pushed.
func (s *Server) targets() engine.Targets {
	if !s.cfg.Push.Used() {
		return nil
	}
	return s.gateway
}

// foreground is notify.Foreground: it asks all nodes.
func (s *Server) foreground(ctx context.Context, users []chat.UserID) []bool {
	reach, _ := s.reach(ctx, users)
	on := make([]bool, len(users))
	for i, r := range reach {
		on[i] = r == chat.Foreground
	}
	return on
}

// reach says how users are connected on all nodes; all, that each node has said so.
func (s *Server) reach(ctx context.Context, users []chat.UserID) (reach []chat.Reach, all bool) {
	if s.peers == nil {
		return s.hub.Reach(users), true
	}
	return s.peers.reach.Ask(ctx, users)
}

// pushRoots are the certificates of push services; nil: those that the system trusts.
func pushRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, chat.E(chat.Invalid, "push.ca_file cannot be read: "+err.Error())
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, chat.E(chat.Invalid, "push.ca_file "+file+" has no certificate in PEM form")
	}
	return roots, nil
}

// The three services; without an error and a provider, one is not configured.

func (s *Server) openFCM(roots *x509.CertPool) (push.Provider, error) {
	c := &s.cfg.Push
	if c.FCMAccountFile == "" {
		return nil, nil
	}
	file, err := os.ReadFile(c.FCMAccountFile)
	if err != nil {
		return nil, err
	}
	account, err := fcm.ParseAccount(file)
	if err != nil {
		return nil, err
	}
	return fcm.New(fcm.Config{Account: account, URL: c.FCMURL, RootCAs: roots})
}

func (s *Server) openAPNs(roots *x509.CertPool) (push.Provider, error) {
	c := &s.cfg.Push
	if c.APNsKeyFile == "" {
		return nil, nil
	}
	file, err := os.ReadFile(c.APNsKeyFile)
	if err != nil {
		return nil, err
	}
	key, err := apns.ParseKey(file, c.APNsKeyID, c.APNsTeam)
	if err != nil {
		return nil, err
	}
	return apns.New(apns.Config{Key: key, Topics: c.APNsTopics, Production: c.APNsURL, Sandbox: c.APNsSandboxURL, RootCAs: roots})
}

func (s *Server) openWebPush(roots *x509.CertPool) (push.Provider, error) {
	c := &s.cfg.Push
	if c.WebPushSubject == "" {
		return nil, nil
	}
	key, err := VAPIDKey(s.cfg, true)
	if err != nil {
		return nil, err
	}
	p, err := webpush.New(webpush.Config{Key: key, Subject: c.WebPushSubject, Guard: egress.Guard{Allow: c.Allowed()}, RootCAs: roots})
	if err != nil {
		return nil, err
	}
	s.vapid = key.String()
	return p, nil
}

// VAPIDKey returns the key of Web Push, from the file that the settings name, else from
// the data dir. With create it is made in the data dir if there is none; else that is
// NotFound.
func VAPIDKey(cfg *config.Config, create bool) (*webpush.Key, error) {
	path := cfg.WebPushKey()
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		key, err := webpush.ParseKey(string(text))
		if err != nil {
			return nil, chat.E(chat.Invalid, path+" does not hold the key: "+chat.Public(err).Text)
		}
		return key, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, chat.Wrap(chat.Unavailable, "server.vapid", err)
	case cfg.Push.WebPushKeyFile != "":
		return nil, chat.E(chat.NotFound, "there is no "+path+", which push.webpush_key_file names: make it with \"roomtide push key\", or correct the setting")
	case cfg.Cluster():
		return nil, chat.E(chat.Invalid, "all nodes of a cluster need the same key for Web Push: make it with \"roomtide push key\", and set push.webpush_key_file on each node")
	case !create:
		return nil, chat.E(chat.NotFound, "there is no "+path+" yet: start the server once with push.webpush_subject")
	}
	return saveVAPIDKey(path)
}

// NewVAPIDKey makes a key of Web Push, as its file has it.
func NewVAPIDKey() (secret string, err error) {
	key, err := webpush.NewKey()
	if err != nil {
		return "", err
	}
	return key.Secret()
}

func saveVAPIDKey(path string) (*webpush.Key, error) {
	secret, err := NewVAPIDKey()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = atomicfile.Write(path, []byte(secret+"\n"))
	}
	if err != nil {
		return nil, chat.Wrap(chat.Unavailable, "server.vapid", err)
	}
	return webpush.ParseKey(secret)
}
