package main

import (
	"github.com/alecthomas/kong"

	"github.com/roomtide/roomtide/internal/completion"
)

type completionVerb struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

func (*completionVerb) Help() string {
	return `Prints the script by which a shell completes verbs, flags and values. For every shell to come:

    roomtide completion bash > /etc/bash_completion.d/roomtide
    roomtide completion zsh > /usr/local/share/zsh/site-functions/_roomtide
    roomtide completion fish > ~/.config/fish/completions/roomtide.fish

and for this one only:

    source <(roomtide completion bash)`
}

func (v *completionVerb) Run(a *app, k *kong.Context) error {
	return completion.Write(a.stdout, v.Shell, k.Model)
}
