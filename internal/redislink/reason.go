package redislink

import "strings"

// reasons are what errors of Redis begin with, and what they mean here.
var reasons = []struct{ code, text string }{
	{"WRONGPASS", "redis refuses the user or password (WRONGPASS): correct them in the setting redis"},
	{"NOAUTH", "redis asks for a password (NOAUTH): write it in the setting redis"},
	{"NOPERM", "the user has no right in redis (NOPERM): allow it all commands on the keys that docs/operations.md lists"},
	{"DB index", "redis has no database of this number: correct it in the setting redis"},
	{"READONLY", "redis is read-only (READONLY): it is a replica"},
	{"OOM", "redis is out of memory (OOM)"},
	{"MISCONF", "redis cannot write its snapshot and takes no changes (MISCONF)"},
	{"LOADING", "redis still reads its data (LOADING)"},
	{"MOVED", "redis is one server of a cluster (MOVED), which is not supported: name a single server"},
	{"WRONGTYPE", "a key holds another kind of value than Roomtide needs there (WRONGTYPE): give Roomtide keys of its own, see redis_prefix and ingest.redis"},
}

// Reason says in words why Redis fails.
func Reason(err error) string {
	for _, r := range reasons {
		if strings.Contains(err.Error(), r.code) {
			return r.text
		}
	}
	return "redis does not answer"
}
