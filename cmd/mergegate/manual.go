package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// printManual prints the manual page mergegate(1) in the man macros of roff.
func printManual(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH MERGEGATE 1 %s %s \"Mergegate manual\"\n", `"`+commitDate()+`"`, quoteRoff("Mergegate "+version()))
	b.WriteString(".SH NAME\nmergegate \\- external status checks for merge requests\n")
	b.WriteString(".SH SYNOPSIS\n.B mergegate\n.I COMMAND\n[options]\n")
	b.WriteString(".SH DESCRIPTION\nMergegate hosts git projects with merge requests, sends each event of a merge request to external\n" +
		"services, and shows their answers as status checks.\nOne program is the server and the tool of its operator.\n")
	b.WriteString(".SH COMMANDS\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s.\n", roff(c.synopsis()), roff(strings.ToUpper(c.summary[:1])+c.summary[1:]))
		if c.about != "" {
			fmt.Fprintf(&b, "%s\n", strings.ReplaceAll(roff(c.about), "\n\n", "\n.IP\n"))
		}
		if len(c.options) > 0 {
			b.WriteString(".RS\n")
			for _, o := range c.options {
				fmt.Fprintf(&b, ".TP\n.B %s\n%s.\n", roff(o.synopsis()), roff(o.text))
			}
			b.WriteString(".RE\n")
		}
	}
	b.WriteString(".SH ENVIRONMENT\nAll settings are environment variables.\n" +
		"A setting with a credential is also read from the file of that name in the folder\n" +
		".BR $CREDENTIALS_DIRECTORY ,\nwhich systemd's\n.B LoadCredential\nsets.\n")
	for _, s := range settings() {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(s.name), roffCode(s.meaning))
		if s.fallback != "" {
			fmt.Fprintf(&b, "Default:\n.BR %s .\n", roff(s.fallback))
		}
	}
	b.WriteString(".SH EXIT STATUS\n0 for success, 1 for an error, 2 for wrong arguments.\n")
	b.WriteString(".SH FILES\n.TP\n.I /etc/mergegate/mergegate.env\nSettings of the service that the Debian package installs.\n" +
		".TP\n.I /etc/credstore/mergegate.*\nSecrets of that service.\n" +
		".TP\n.I /usr/sbin/mergegate-run\nRuns a command of mergegate with the settings, the secrets and the user of that service.\n" +
		".TP\n.I /var/lib/mergegate\nData folder of that service.\n")
	b.WriteString(".SH SEE ALSO\n.BR git (1),\n.BR systemd.exec (5)\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// roff escapes text for the body of a manual page.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	return regexp.MustCompile(`(?m)^[.']`).ReplaceAllString(text, `\&$0`)
}

// roffCode escapes text and sets what stands between backticks in bold.
func roffCode(text string) string {
	return regexp.MustCompile("`([^`]*)`").ReplaceAllString(roff(text), `\fB$1\fR`)
}

// quoteRoff returns text as one argument of a macro.
func quoteRoff(text string) string { return `"` + strings.ReplaceAll(roff(text), `"`, `\(dq`) + `"` }
