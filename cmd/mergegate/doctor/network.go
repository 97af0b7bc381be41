package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mergegate/mergegate/webhook"
)

const (
	requestTimeout = 10 * time.Second
	// certificateWarning is how long before its end a certificate is reported.
	certificateWarning = 14 * 24 * time.Hour
	// maxServices is how many services are connected to.
	maxServices = 50
)

// baseURL asks the server under its base URL, as far as this machine can.
func (e *examination) baseURL(ctx context.Context) {
	if e.Serving != nil && !*e.Serving {
		e.add("base URL", Warning, "Start the server and run this command again.", "No server uses this data folder, so %s was not asked.", e.BaseURL)
		return
	}
	client := e.HTTP
	if client == nil {
		client = &http.Client{}
	}
	asking := *client
	asking.Timeout = requestTimeout
	asking.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	version, ok := e.ask(ctx, &asking)
	if !ok {
		return
	}
	if e.Version != "" && version != e.Version {
		e.add("base URL", Warning, "Run this command with the program that serves, or restart the server after an upgrade.",
			"%s is served by version %s, and this program is %s.", e.BaseURL, version, e.Version)
	} else {
		e.ok("base URL", "%s answers.", e.BaseURL)
	}
	if u, err := url.Parse(e.BaseURL); err == nil && isLoopback(u.Hostname()) {
		e.add("base URL", Warning, "Set MERGEGATE_BASE_URL to the address that people and services use.", "%s is reachable from this machine only.", e.BaseURL)
	} else {
		e.add("base URL", OK, "", "Whether other networks reach %s cannot be seen from here.", e.BaseURL)
	}
}

// ask requests two addresses: one says whether the server is ready, the other that it
// is Mergegate and which version.
func (e *examination) ask(ctx context.Context, client *http.Client) (version string, ok bool) {
	response, err := get(ctx, client, e.BaseURL+"/readyz")
	if err != nil {
		e.add("base URL", Fault, askHelp(err), "%s does not answer: %v.", e.BaseURL, withoutURL(err))
		return "", false
	}
	e.certificate(response.TLS)
	if location := response.Header.Get("Location"); location != "" {
		e.add("base URL", Fault, "Set MERGEGATE_BASE_URL to the address that the proxy redirects to, with scheme and host.", "%s redirects to %s.", e.BaseURL, location)
		return "", false
	}
	if response.StatusCode == http.StatusServiceUnavailable {
		e.add("base URL", Fault, "Look at the log of the server; often its database does not answer.", "%s says that it is not ready (HTTP 503).", e.BaseURL)
		return "", false
	}
	api, err := get(ctx, client, e.BaseURL+"/api/v4/version")
	if err == nil {
		version = api.Header.Get("X-Mergegate-Version")
	}
	if response.StatusCode != http.StatusOK || version == "" {
		e.add("base URL", Fault, "Check MERGEGATE_BASE_URL and where the proxy leads to.", "%s is answered by something else than Mergegate (HTTP %d).", e.BaseURL, response.StatusCode)
		return "", false
	}
	return version, true
}

func get(ctx context.Context, client *http.Client, address string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16))
	return response, response.Body.Close()
}

func askHelp(err error) string {
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &dns):
		return "Create a DNS entry for the host, or correct MERGEGATE_BASE_URL."
	case errors.As(err, &certificate), errors.As(err, &authority):
		return "Install a certificate for this host that this machine trusts, with all intermediate certificates."
	}
	return "Start the server, and check the proxy, the firewall and MERGEGATE_BASE_URL."
}

// withoutURL returns the cause of a request's error.
func withoutURL(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

func (e *examination) certificate(state *tls.ConnectionState) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return
	}
	if end := state.PeerCertificates[0].NotAfter; end.Sub(e.Now()) < certificateWarning {
		e.add("base URL", Warning, "Renew the certificate in the proxy.", "The certificate of %s ends on %s.", e.BaseURL, end.UTC().Format(time.DateOnly))
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// services connects to the hosts of services, as deliveries do.
func (e *examination) services(ctx context.Context) {
	urls, err := e.store.ServiceURLs(ctx, 1000)
	if err != nil {
		e.add("outbound", Fault, "Look at the database.", "The services cannot be read: %v.", err)
		return
	}
	hosts := map[string]string{} // a URL of each server
	for _, text := range urls {
		if u, err := url.Parse(text); err == nil && u.Host != "" && len(hosts) < maxServices {
			hosts[u.Scheme+"://"+u.Host] = text
		}
	}
	if len(hosts) == 0 {
		e.ok("outbound", "There are no services to connect to.")
		return
	}
	client := webhook.NewClient(webhook.Options{Version: e.Version, Allow: e.Allow})
	var mu sync.Mutex
	failed := map[string][]string{} // servers by detail
	refused := map[string]bool{}    // details of refused addresses
	var work sync.WaitGroup
	for server, target := range hosts {
		work.Go(func() {
			kind, detail := client.Connect(ctx, target)
			if kind == "" {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			failed[detail] = append(failed[detail], server)
			refused[detail] = kind == webhook.ErrorRefusedAddress
		})
	}
	work.Wait()
	bad := 0
	for detail, servers := range failed {
		slices.Sort(servers)
		bad += len(servers)
		help := "Check the service, the firewall and DNS of this machine."
		if refused[detail] {
			help = "If it is meant to be reached, add the host or network to MERGEGATE_OUTBOUND_ALLOW."
		}
		e.add("outbound", Warning, help, "No connection to %s: %s", list(servers[:min(len(servers), maxListed)], len(servers)), detail)
	}
	if bad < len(hosts) {
		e.ok("outbound", "%d of %d servers of services accept connections.", len(hosts)-bad, len(hosts))
	}
}
