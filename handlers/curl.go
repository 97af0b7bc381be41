package handlers

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/mergegate/mergegate/models"
)

// curlSecret is the shell variable of the shared secret in curlCommand.
const curlSecret = "MERGEGATE_SECRET"

// curlOmitted are the request headers that curlCommand leaves out: curl sets them, or
// they are only valid for the original attempt.
var curlOmitted = []string{"Accept-Encoding", "Content-Length", "Host", "Traceparent", "Webhook-Signature", "Webhook-Timestamp"}

// curlCommand returns a POSIX shell command that sends a payload to a URL with curl.
// Values that the log masks, the query string and the user of the URL are shell
// variables, whose names it returns. The signature is computed from the shared secret.
func curlCommand(target string, header models.Header, payload []byte) (command string, variables []string) {
	// The body ends with a line break, which the signature covers.
	const end = "MERGEGATE_BODY"
	delimiter := end
	body := string(payload)
	for strings.Contains("\n"+body+"\n", "\n"+delimiter+"\n") {
		delimiter += "_"
	}
	variable := func(name string) string {
		variables = append(variables, name)
		return "$" + name
	}
	var b strings.Builder
	b.WriteString("body() { cat <<'" + delimiter + "'\n" + body + "\n" + delimiter + "\n}\nbody | curl --request POST " + shellQuote(models.DisplayURL(target)))
	if strings.Contains(target, "?") {
		b.WriteString(`"?` + variable("MERGEGATE_QUERY") + `"`)
	}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if slices.ContainsFunc(curlOmitted, func(omitted string) bool { return strings.EqualFold(omitted, name) }) {
			continue
		}
		for _, value := range header[name] {
			b.WriteString(" \\\n  --header ")
			switch {
			case strings.EqualFold(name, "X-Gitlab-Signature"):
				b.WriteString(`"` + name + `: $(body | openssl dgst -sha256 -hmac "` + variable(curlSecret) + `" | sed 's/.* //')"`)
			case isMasked(name, value):
				b.WriteString(`"` + name + ": " + variable("MERGEGATE_"+shellName(name)) + `"`)
			default:
				b.WriteString(shellQuote(name + ": " + value))
			}
		}
	}
	b.WriteString(" \\\n  --data-binary @-\n")
	return b.String(), variables
}

// curlHeader returns the headers of a delivery that has not been tried yet.
func curlHeader(d models.Delivery) models.Header {
	return models.Header{
		"Content-Type": {"application/json"}, "X-Gitlab-Event": {"Merge Request Hook"},
		"X-Gitlab-Event-Uuid": {d.EventUUID}, "Idempotency-Key": {d.UUID},
	}
}

// isMasked reports whether the value of a header is not shown: it is a credential or a
// signature, or the log has masked it.
func isMasked(name, value string) bool {
	return strings.Contains(value, "[masked]") ||
		slices.ContainsFunc(maskedHeaders, func(masked string) bool { return strings.EqualFold(masked, name) })
}

// shellQuote quotes a text for a POSIX shell.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// shellName returns the name of a header as part of the name of a shell variable.
func shellName(header string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(http.CanonicalHeaderKey(header)))
}
