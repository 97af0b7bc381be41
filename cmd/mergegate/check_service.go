package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/mergegate/mergegate/cmd/mergegate/servicecheck"
)

const checkServiceAbout = `Plays the events of Mergegate against a service under construction and says what
the service does wrong.

Exit code: 0 no faults, 1 faults found, 2 the check could not run.`

var checkServiceOptions = []option{
	{"url", "URL", "address of the service"},
	{"secret", "SECRET", "shared secret of the service (default: $SHARED_SECRET)"},
	{"token", "TOKEN", "access token that the service must send (default:\n$MERGEGATE_TOKEN; empty accepts any)"},
	{"listen", "ADDRESS", "address of the API for the service (default 127.0.0.1:9180);\n" +
		"configure http://ADDRESS in the service as that of Mergegate"},
	{"answer-within", "TIME", "how long a response may take (default 2m; 0 expects none)"},
	{"wait", "TIME", "how long to wait for the service to start (default 30s)"},
	{"json", "", "print the report as JSON"},
}

// checkServiceUsage returns the help of check-service.
func checkServiceUsage() string {
	c, _, _ := findCommand([]string{"check-service"})
	return c.help()
}

// exitError ends the program with a code. Its text is printed if it has one.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// checkServiceCommand checks a service. Its errors are exitErrors with the codes
// in checkServiceAbout.
func checkServiceCommand(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("check-service", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o := servicecheck.Options{Version: version(), Settle: 2 * time.Second, Progress: os.Stderr}
	flags.StringVar(&o.URL, "url", "", "")
	flags.StringVar(&o.Secret, "secret", os.Getenv("SHARED_SECRET"), "")
	flags.StringVar(&o.Token, "token", os.Getenv("MERGEGATE_TOKEN"), "")
	listen := flags.String("listen", "127.0.0.1:9180", "")
	flags.DurationVar(&o.AnswerWithin, "answer-within", 2*time.Minute, "")
	flags.DurationVar(&o.Wait, "wait", 30*time.Second, "")
	asJSON := flags.Bool("json", false, "")
	if err := flags.Parse(args); err != nil {
		return exitError{2, fmt.Errorf("%w\n%s", err, checkServiceUsage())}
	}
	if o.URL == "" || flags.NArg() != 0 {
		return exitError{2, fmt.Errorf("--url is missing, or there is an unknown argument\n%s", checkServiceUsage())}
	}
	var err error
	if o.Listener, err = net.Listen("tcp", *listen); err != nil {
		return exitError{2, fmt.Errorf("the API for the service cannot listen, choose another address with --listen: %w", err)}
	}
	report, err := servicecheck.Run(ctx, o)
	if err != nil {
		return exitError{2, err}
	}
	if *asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		err = encoder.Encode(report)
	} else {
		report.Print(out)
	}
	if err != nil {
		return exitError{2, err}
	}
	if len(report.Faults) > 0 {
		return exitError{code: 1}
	}
	return nil
}
