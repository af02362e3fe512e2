// Package decode makes plain text of the bodies of messages as chats store them: with
// entities, markup, slashes, serialized or encrypted, in bytes of another encoding.
//
// A Pipeline is a list of decoders by name, and runs them from left to right. Each is a
// pure function of the text. What a decoder does not know it leaves as it is; an error
// means that the text is broken in the form that the decoder is for.
package decode

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Pipeline decodes a text. The empty one leaves it as it is. It may be used by several
// goroutines.
type Pipeline []step

type step struct {
	name string
	run  func(string) (string, error)
}

// Secret returns the value of an environment variable, in which keys are.
type Secret func(name string) (value string, ok bool)

// maker makes a step of what stands behind the name, as in "charset:gbk".
type maker func(argument string, secret Secret) (func(string) (string, error), error)

var makers = map[string]maker{
	"repair_utf8":   plain(repairUTF8),
	"charset":       newCharset,
	"slashes":       plain(slashes),
	"entities":      plain(Entities),
	"html":          plain(htmlText),
	"bbcode":        plain(bbcode),
	"phpbb_xml":     fallible(phpbb),
	"phpser":        fallible(phpser),
	"aes":           newAES,
	"laravel_crypt": newLaravelCrypt,
}

func plain(f func(string) string) maker {
	return fallible(func(s string) (string, error) { return f(s), nil })
}

func fallible(f func(string) (string, error)) maker {
	return func(argument string, _ Secret) (func(string) (string, error), error) {
		if argument != "" {
			return nil, errors.New("it takes nothing behind a colon")
		}
		return f, nil
	}
}

// Names are the decoders there are.
func Names() []string { return slices.Sorted(maps.Keys(makers)) }

// New makes a pipeline. The error names the decoder that cannot be made, and never
// has a secret.
func New(names []string, secret Secret) (Pipeline, error) {
	var p Pipeline
	for _, name := range names {
		base, argument, _ := strings.Cut(name, ":")
		m, ok := makers[base]
		if !ok {
			return nil, fmt.Errorf("there is no decoder %q; there are %s", base, strings.Join(Names(), ", "))
		}
		run, err := m(argument, secret)
		if err != nil {
			return nil, fmt.Errorf("decoder %s: %w", base, err)
		}
		p = append(p, step{base, run})
	}
	return p, nil
}

// Decode runs the decoders. The error names the one that failed, and has nothing of
// the text.
func (p Pipeline) Decode(text string) (string, error) {
	for _, s := range p {
		out, err := s.run(text)
		if err != nil {
			return "", fmt.Errorf("%s: %w", s.name, err)
		}
		text = out
	}
	return text, nil
}
