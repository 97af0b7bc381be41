package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// healthcheckTimeout is how long the server may take to answer.
const healthcheckTimeout = 5 * time.Second

// healthcheckCommand asks the server of the same settings whether it is ready. It
// is for containers, whose image has no other HTTP client.
func healthcheckCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 0 {
		return errUsage
	}
	c, err := readConfig()
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return err
	}
	switch ip := net.ParseIP(host); {
	case host == "", ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		host = "::1"
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	url := "http://" + net.JoinHostPort(host, port) + "/readyz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server is not ready: %s answered %d: %s", url, resp.StatusCode, answer)
	}
	_, err = fmt.Fprintln(out, "ready")
	return err
}
