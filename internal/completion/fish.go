package completion

import (
	"fmt"
	"strings"
)

func fish(name string, all []verb) string {
	var lists, lines strings.Builder
	for _, row := range nextTable(all) {
		fmt.Fprintf(&lists, "set -g __NAME_next $__NAME_next %s\nset -g __NAME_verbs $__NAME_verbs %s\n", fishQuoted(row[0]), fishQuoted(row[1]))
	}
	for _, row := range valueTable(all) {
		fmt.Fprintf(&lists, "set -g __NAME_values $__NAME_values %s\n", fishQuoted(row[0]))
	}
	for _, v := range all {
		at := "complete -c NAME -n " + fishQuoted("__NAME_at "+fishQuoted(v.path))
		for _, s := range v.next {
			fmt.Fprintf(&lines, "%s -a %s -d %s\n", at, s.word, fishQuoted(s.help))
		}
		if v.args != anything {
			fmt.Fprintf(&lines, "%s%s\n", at, fishValues(v.args))
		}
		for _, f := range v.flags {
			line := at + " -l " + f.name
			if f.short != "" {
				line += " -s " + f.short
			}
			if f.takes {
				line += " -r" + fishValues(f.values)
			}
			fmt.Fprintf(&lines, "%s -d %s\n", line, fishQuoted(f.help))
		}
	}
	return strings.NewReplacer("LISTS\n", strings.ReplaceAll(lists.String(), "NAME", name),
		"LINES\n", strings.ReplaceAll(lines.String(), "NAME", name), "NAME", name).Replace(fishScript)
}

// fishValues are the options of complete for the values of a flag or argument.
func fishValues(values string) string {
	switch values {
	case file:
		return " -F"
	case dir:
		return " -f -a '(__fish_complete_directories)'"
	case anything:
		return " -f"
	}
	return " -f -a " + fishQuoted(values)
}

func fishQuoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

const fishScript = `# Completion of NAME for fish. Made by "NAME completion fish".

set -g __NAME_next
set -g __NAME_verbs
set -g __NAME_values
LISTS

# __NAME_at tells whether the words before the cursor lead to a verb.
function __NAME_at
    set -l words (commandline -opc)
    set -e words[1]
    set -l verb NAME
    set -l flag ''
    for word in $words
        if test -n "$flag"
            set flag ''
        else if contains -- "$verb $word" $__NAME_values
            set flag $word
        else if set -l i (contains -i -- "$verb $word" $__NAME_next)
            set verb $__NAME_verbs[$i]
        end
    end
    test "$verb" = "$argv[1]"
end

complete -c NAME -e
complete -c NAME -f
LINES
`
