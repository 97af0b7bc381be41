package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// shells are the values that the command completion takes.
var shells = []string{"bash", "zsh", "fish"}

// completionCommand prints the completion for one shell.
func completionCommand(_ context.Context, args []string, out io.Writer) error {
	if len(args) != 1 || !slices.Contains(shells, args[0]) {
		return errUsage
	}
	print := map[string]func(io.Writer) error{"bash": completeBash, "zsh": completeZsh, "fish": completeFish}[args[0]]
	return print(out)
}

// nextWords returns what may follow each beginning of a command line: "" has the
// first words of all commands, "user" has create and password, and the full name
// of a command has its options and fixed values.
func nextWords() (beginnings []string, next map[string][]string) {
	next = map[string][]string{}
	add := func(beginning, word string) {
		if _, ok := next[beginning]; !ok {
			beginnings = append(beginnings, beginning)
		}
		if !slices.Contains(next[beginning], word) {
			next[beginning] = append(next[beginning], word)
		}
	}
	for _, c := range commands() {
		beginning := ""
		for _, word := range strings.Fields(c.name) {
			add(beginning, word)
			beginning = strings.TrimSpace(beginning + " " + word)
		}
		for _, o := range c.options {
			add(beginning, "--"+o.name)
		}
		if c.name == "completion" {
			for _, shell := range shells {
				add(beginning, shell)
			}
		}
	}
	add("", "help")
	return beginnings, next
}

// completeBash prints a completion function for bash. It needs no other package.
func completeBash(out io.Writer) error {
	var b strings.Builder
	b.WriteString("# bash completion for mergegate\n_mergegate() {\n" +
		"\tlocal current=${COMP_WORDS[COMP_CWORD]} line=${COMP_WORDS[*]:1:COMP_CWORD-1} words=\n\tcase $line in\n")
	beginnings, next := nextWords()
	// Longer beginnings come first, because a pattern also matches what follows.
	for _, beginning := range slices.Backward(beginnings) {
		pattern := "''"
		if beginning != "" {
			pattern = fmt.Sprintf("'%[1]s' | '%[1]s '*", beginning)
		}
		fmt.Fprintf(&b, "\t%s) words='%s' ;;\n", pattern, strings.Join(next[beginning], " "))
	}
	b.WriteString("\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\ncomplete -o default -F _mergegate mergegate\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// completeZsh prints a completion function for zsh.
func completeZsh(out io.Writer) error {
	var b strings.Builder
	b.WriteString("#compdef mergegate\n# zsh completion for mergegate\n_mergegate() {\n" +
		"\tlocal line=\"${words[2,CURRENT-1]}\"\n\tlocal -a next\n\tcase $line in\n")
	beginnings, next := nextWords()
	for _, beginning := range slices.Backward(beginnings) {
		pattern := "''"
		if beginning != "" {
			pattern = fmt.Sprintf("'%[1]s'|'%[1]s '*", beginning)
		}
		fmt.Fprintf(&b, "\t%s)\n\t\tnext=(\n", pattern)
		for _, word := range next[beginning] {
			entry := word
			if text := describe(beginning, word); text != "" {
				entry += ":" + text
			}
			fmt.Fprintf(&b, "\t\t\t%s\n", quoteShell(entry))
		}
		b.WriteString("\t\t) ;;\n")
	}
	b.WriteString("\tesac\n\tif (( $#next )); then\n\t\t_describe 'mergegate' next\n\telse\n\t\t_default\n\tfi\n}\n" +
		"if [[ $funcstack[1] == _mergegate ]]; then\n\t_mergegate \"$@\"\nelse\n\tcompdef _mergegate mergegate\nfi\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// completeFish prints completions for fish.
func completeFish(out io.Writer) error {
	var b strings.Builder
	b.WriteString("# fish completion for mergegate\n" +
		"function __mergegate_after\n\tset -l line (commandline -opc)\n\tset -e line[1]\n" +
		"\tstring match -q -- \"$argv *\" \"$line \"\nend\n" +
		"complete -c mergegate -f\n")
	beginnings, next := nextWords()
	for _, beginning := range beginnings {
		for _, word := range next[beginning] {
			flag := "-a " + word
			if name, ok := strings.CutPrefix(word, "--"); ok {
				flag = "-l " + name
			}
			condition := "__mergegate_after " + beginning
			if beginning == "" {
				condition = "__fish_use_subcommand"
			} else if !strings.HasPrefix(word, "--") {
				condition += "; and test (count (commandline -opc)) -eq " + fmt.Sprint(1+len(strings.Fields(beginning)))
			}
			fmt.Fprintf(&b, "complete -c mergegate -n %s %s", quoteShell(strings.TrimSpace(condition)), flag)
			if text := describe(beginning, word); text != "" {
				fmt.Fprintf(&b, " -d %s", quoteShell(text))
			}
			b.WriteByte('\n')
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// describe returns the summary of the command, or the text of the option, that is named
// word after beginning. It returns "" for another word.
func describe(beginning, word string) string {
	for _, c := range commands() {
		if c.name == strings.TrimSpace(beginning+" "+word) {
			return c.summary
		}
		for _, o := range c.options {
			if c.name == beginning && "--"+o.name == word {
				return strings.ReplaceAll(o.text, "\n", " ")
			}
		}
	}
	return ""
}

// quoteShell quotes text for a shell.
func quoteShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
