package mapping

import (
	"fmt"
	"strings"
)

// Document is a whole mapping file, as init writes it.
type Document struct {
	What   string // that it is for, in words
	Source Source
	Text   string // the sections behind [source]
}

// String is the file.
func (d *Document) String() string {
	var b strings.Builder
	line := func(name, value, comment string) {
		if value == "" {
			return
		}
		text := fmt.Sprintf("%s = %s", name, quoteTOML(value))
		if comment != "" {
			text = fmt.Sprintf("%-44s # %s", text, comment)
		}
		b.WriteString(text + "\n")
	}
	fmt.Fprintf(&b, "# How Roomtide reads %s.\n# docs/adopt.md explains every line. \"roomtide adopt check\" shows what comes of a change.\n\n[source]\n", d.What)
	s := &d.Source
	line("name", s.Name, "part of the keys of all that is imported: never change it")
	line("dsn", s.DSN, "")
	line("password_env", s.PasswordEnv, "environment variable with the password")
	line("tz", s.TZ, "time zone of the application's clock")
	line("session_tz", s.SessionTZ, "time zone that the application sets in its sessions")
	line("charset", s.Charset, "encoding of the files")
	b.WriteString("\n" + strings.TrimSpace(d.Text) + "\n")
	b.WriteString("\n# What is done with rows that do not fit. These are the defaults; docs/adopt.md has the others.\n[problems]\n" +
		"too_long = \"refuse\"\nundecoded = \"refuse\"\nno_user = \"refuse\"\nno_time = \"keep\"\n" +
		"\n[roomtide]\nurl = \"http://127.0.0.1:8080\"\nkey_env = \"ROOMTIDE_KEY\"" + strings.Repeat(" ", 21) + "# environment variable with an API key of scope adopt,send,read\n")
	return b.String()
}

// quoteTOML makes a TOML string.
func quoteTOML(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`
}
