package completion

import (
	"fmt"
	"strings"
)

// bash is written for bash 3.2 and later, without the package bash-completion.
func bash(name string, all []verb) string {
	var flagRows, wordRows [][2]string
	for _, v := range all {
		var fs, ws []string
		for _, f := range v.flags {
			fs = append(fs, "--"+f.name)
		}
		for _, s := range v.next {
			ws = append(ws, s.word)
		}
		flagRows = append(flagRows, [2]string{v.path, strings.Join(fs, " ")})
		if len(ws) > 0 {
			wordRows = append(wordRows, [2]string{v.path, strings.Join(ws, " ")})
		}
	}
	wordRows = append(wordRows, argTable(all)...)
	r := strings.NewReplacer("NAME", name,
		"NEXT\n", table(nextTable(all)), "VALUES\n", table(valueTable(all)), "FLAGS\n", table(flagRows), "WORDS\n", table(wordRows))
	return r.Replace(fmt.Sprintf(bashScript, "NAME completion bash"))
}

const bashScript = `# Completion of NAME for bash. Made by "%[1]s".

_NAME_next() {
NEXT
}

_NAME_value() {
VALUES
}

_NAME_flags() {
FLAGS
}

_NAME_words() {
WORDS
}

_NAME() {
    local REPLY='' verb=NAME flag='' word cur=${COMP_WORDS[COMP_CWORD]} i IFS=$' \t\n'
    for (( i = 1; i < COMP_CWORD; i++ )); do
        word=${COMP_WORDS[i]}
        if [[ -n $flag ]]; then # bash makes --flag=value three words
            [[ $word == '=' ]] || flag=''
        elif _NAME_value "$verb $word"; then
            flag=$word
        elif _NAME_next "$verb $word"; then
            verb=$REPLY
        fi
    done
    REPLY=''
    if [[ -n $flag ]]; then
        [[ $cur == '=' ]] && cur=''
        _NAME_value "$verb $flag"
    elif [[ $cur == -* ]]; then
        _NAME_flags "$verb"
    else
        _NAME_words "$verb"
    fi
    case $REPLY in
    @file) IFS=$'\n' COMPREPLY=( $(compgen -f -- "$cur") ); compopt -o filenames 2>/dev/null ;;
    @dir) IFS=$'\n' COMPREPLY=( $(compgen -d -- "$cur") ); compopt -o filenames 2>/dev/null ;;
    *) COMPREPLY=( $(compgen -W "$REPLY" -- "$cur") ) ;;
    esac
    return 0
}

complete -F _NAME NAME
`
