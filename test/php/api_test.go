package php

import "testing"

func TestOffline(t *testing.T) { run(t, nil, "offline.php") }

func TestAPI(t *testing.T) {
	s := newSite(t)
	run(t, s.env("READ_KEY="+s.newKey("read")), "api.php")
}

func TestPSR18(t *testing.T) { run(t, newSite(t).env(), "psr18.php") }

func TestLaravel(t *testing.T) { run(t, newSite(t).env(), "laravel.php") }
