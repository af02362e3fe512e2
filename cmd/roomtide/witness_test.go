package main

import (
	"slices"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/roomtide/roomtide/config"
)

// The flags of a witness are flags of serve, and none is lost on the way to the settings.
func TestWitnessFlags(t *testing.T) {
	var v witnessVerb
	k, err := kong.New(&v)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{
		"data-dir": "d", "node": "w", "nats-cluster-listen": "a:1", "nats-routes": "a:1,b:1", "nats-password-file": "p", "nats-tls-ca": "ca",
		"nats-tls-cert": "c", "nats-tls-key": "k", "nats-insecure-routes": "true", "queue-mib": "77", "metrics-listen": "m:1", "log-level": "warn", "log-format": "json",
	}
	var args, names []string
	for _, f := range k.Model.Flags[1:] { // the first is --help
		if f.Name == "config" {
			continue
		}
		value, ok := given[f.Name]
		if !ok {
			t.Errorf("--%s is not tried here", f.Name)
		}
		args, names = append(args, "--"+f.Name+"="+value), append(names, f.Name)
	}
	if _, err := k.Parse(args); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Args{Values: v.values(), Given: names}, []string{"ROOMTIDE_DATA_DIR=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	def := config.Default().Settings()
	for i, s := range cfg.Settings() {
		if changed := s.Text() != def[i].Text(); changed != slices.Contains(names, s.Flag()) {
			t.Errorf("--%s: %s", s.Flag(), s.Text())
		}
	}
}
