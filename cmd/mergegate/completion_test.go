package main

import (
	"os/exec"
	"strings"
	"testing"
)

// printed returns the output of a command of the program.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	var out strings.Builder
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out.String()
}

func TestCompletion_Bash_OffersWhatFollows(t *testing.T) {
	script := printed(t, "completion", "bash")
	for line, want := range map[string]string{
		"se":                         "serve seed settings",
		"user ":                      "create list edit block unblock delete reset-password password",
		"user c":                     "create",
		"user create --":             "--admin --name --email --invite",
		"user create --admin --a":    "--admin",
		"user password --":           "",
		"completion ":                "bash zsh fish",
		"check-service --url x --an": "--answer-within",
		"version ":                   "",
	} {
		words := strings.Split(line, " ")
		cmd := exec.Command("bash", "-c", script+"\nshift 0; COMP_WORDS=(mergegate \"$@\"); COMP_CWORD=$#; _mergegate; echo \"${COMPREPLY[*]}\"", "bash")
		cmd.Args = append(cmd.Args, words...)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q: %v, got %q, want %q", line, err, got, want)
		}
	}
}

func TestCompletionAndManual_NameEveryCommandOptionAndSetting(t *testing.T) {
	for _, shell := range shells {
		script := printed(t, "completion", shell)
		for _, c := range commands() {
			for _, word := range strings.Fields(c.name) {
				if !strings.Contains(script, word) {
					t.Errorf("the completion for %s does not have %s", shell, word)
				}
			}
			for _, o := range c.options {
				if !strings.Contains(script, o.name) {
					t.Errorf("the completion for %s does not have --%s", shell, o.name)
				}
			}
		}
	}
	manual := strings.ReplaceAll(printed(t, "manual"), `\-`, "-")
	for _, c := range commands() {
		if !strings.Contains(manual, "\n.B "+c.synopsis()+"\n") {
			t.Errorf("the manual does not have %s", c.synopsis())
		}
	}
	for _, s := range settings() {
		if !strings.Contains(manual, "\n.B "+s.name+"\n") {
			t.Errorf("the manual does not have %s", s.name)
		}
	}
}
