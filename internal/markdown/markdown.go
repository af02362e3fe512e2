// Package markdown reads the code blocks of the documents, for the tests that run
// what the documents print.
package markdown

import (
	"fmt"
	"os"
	"strings"
)

// Block is a fenced code block.
type Block struct {
	Lang string // the word behind the opening fence: sh, php, nginx; may be empty
	Text string // without the indent of the fence; ends with a newline
	Line int    // of the opening fence, from 1
}

// Blocks returns the code blocks of a file in their order.
func Blocks(file string) ([]Block, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	blocks, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return blocks, nil
}

// parse knows the fences that the documents use: three backticks at any indent.
func parse(text string) (blocks []Block, err error) {
	var open *Block
	var indent string
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSuffix(line, "\n")
		body := strings.TrimLeft(line, " ")
		switch rest, fence := strings.CutPrefix(body, "```"); {
		case !fence && open != nil:
			open.Text += strings.TrimPrefix(line, indent) + "\n"
		case fence && open == nil:
			open = &Block{Lang: strings.TrimSpace(rest), Line: n}
			indent = line[:len(line)-len(body)]
		case fence:
			blocks = append(blocks, *open)
			open = nil
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the code block has no end", open.Line)
	}
	return blocks, nil
}
