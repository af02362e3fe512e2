package completion

import (
	"fmt"
	"strings"
)

func zsh(name string, all []verb) string {
	r := strings.NewReplacer("NAME", name,
		"NEXT\n", table(nextTable(all)), "VALUES\n", table(valueTable(all)), "ARGS\n", table(argTable(all)),
		"FLAGS\n", described(all, func(v verb) (out []string) {
			for _, f := range v.flags {
				out = append(out, "--"+f.name+":"+f.help)
			}
			return out
		}),
		"WORDS\n", described(all, func(v verb) (out []string) {
			for _, s := range v.next {
				out = append(out, s.word+":"+s.help)
			}
			return out
		}))
	return r.Replace(fmt.Sprintf(zshScript, "NAME completion zsh"))
}

// described is a case statement that fills the array reply with words and their help.
func described(all []verb, of func(verb) []string) string {
	var b strings.Builder
	b.WriteString("    case $1 in\n")
	for _, v := range all {
		list := of(v)
		if len(list) == 0 {
			continue
		}
		fmt.Fprintf(&b, "    %s)\n        reply=(\n", single(v.path))
		for _, item := range list {
			fmt.Fprintf(&b, "            %s\n", single(item))
		}
		b.WriteString("        ) ;;\n")
	}
	b.WriteString("    *) return 1 ;;\n    esac\n")
	return b.String()
}

const zshScript = `#compdef NAME
# Completion of NAME for zsh. Made by "%[1]s".

_NAME_next() {
NEXT
}

_NAME_value() {
VALUES
}

_NAME_args() {
ARGS
}

_NAME_flags() {
FLAGS
}

_NAME_words() {
WORDS
}

_NAME() {
    local REPLY='' verb=NAME flag='' word cur=$words[CURRENT]
    local -a reply
    for word in "${(@)words[2,CURRENT-1]}"; do
        if [[ -n $flag ]]; then
            flag=''
        elif _NAME_value "$verb $word"; then
            flag=$word
        elif _NAME_next "$verb $word"; then
            verb=$REPLY
        fi
    done
    REPLY=''
    if [[ -z $flag && $cur == --*=* ]] && _NAME_value "$verb ${cur%%%%=*}"; then
        flag=${cur%%%%=*}
        compset -P '*='
    fi
    if [[ -n $flag ]]; then
        _NAME_value "$verb $flag"
    elif [[ $cur == -* ]]; then
        _NAME_flags "$verb" && _describe -o flag reply
        return
    elif _NAME_words "$verb"; then
        _describe verb reply
        return
    else
        _NAME_args "$verb"
    fi
    case $REPLY in
    @file) _files ;;
    @dir) _files -/ ;;
    ?*) compadd -- ${=REPLY} ;;
    esac
}

if [[ $funcstack[1] == _NAME ]]; then # loaded from $fpath
    _NAME "$@"
elif (( $+functions[compdef] )); then
    compdef _NAME NAME
fi
`
