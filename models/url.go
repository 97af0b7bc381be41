package models

import (
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// URLAsSent returns the form of a service's URL that is stored, compared, shown and
// requested: scheme and host in lower case, an international host name in ASCII (IDNA),
// without default port and fragment, and percent-encoded where a URL requires it. ok is
// false if raw is not an absolute http or https URL with a host, or is longer than
// MaxURLLength.
func URLAsSent(raw string) (sent string, ok bool) {
	sent, _, ok = canonicalURL(raw)
	return sent, ok
}

// URLKey is URLAsSent with "/" for an empty path. It is unique among the services of a
// project.
func URLKey(raw string) (key string, ok bool) {
	key, ok = URLAsSent(raw)
	if ok && !strings.Contains(afterScheme(key), "/") {
		key += "/"
	}
	return key, ok
}

// sameURL reports whether two stored URLs are sent to the same address. Earlier
// versions stored URLs as typed.
func sameURL(a, b string) bool {
	sentA, okA := URLAsSent(a)
	sentB, okB := URLAsSent(b)
	return a == b || okA && okB && sentA == sentB
}

// DisplayURL returns a service's URL as users below Maintainer see it: as sent, without
// query string and user information. It returns "" if raw is not a URL.
func DisplayURL(raw string) string {
	if sent, ok := URLAsSent(raw); ok {
		raw = sent
	}
	if i := strings.IndexAny(raw, "?#"); i >= 0 {
		raw = raw[:i]
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return ""
	}
	authority, path, slash := strings.Cut(rest, "/")
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		authority = authority[i+1:]
	}
	if slash {
		path = "/" + path
	}
	return scheme + "://" + authority + path
}

// canonicalURL returns URLAsSent and, with its "#", the fragment; "" if there is none.
func canonicalURL(raw string) (sent, fragment string, ok bool) {
	if utf8.RuneCountInString(raw) > MaxURLLength || hasControl(raw) || strings.ContainsAny(raw, " \\") {
		return "", "", false
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return "", "", false
	}
	scheme := strings.ToLower(u.Scheme)
	if scheme != "http" && scheme != "https" {
		return "", "", false
	}
	host, ok := canonicalHost(scheme, u)
	if !ok {
		return "", "", false
	}
	// Cut the rest from the text as typed: net/url would re-encode valid parts.
	user, rest := afterScheme(raw), ""
	if i := strings.IndexAny(user, "/?#"); i >= 0 {
		user, rest = user[:i], user[i:]
	}
	user = user[:strings.LastIndex(user, "@")+1]
	rest, fragment, found := strings.Cut(rest, "#")
	if strings.HasPrefix(rest, "?") {
		rest = "/" + rest
	}
	sent = scheme + "://" + user + host + percentEncode(rest)
	if found {
		fragment = "#" + percentEncode(fragment)
	}
	return sent, fragment, true
}

func afterScheme(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	return rest
}

// canonicalHost returns the host in lower-case ASCII, with its port unless it is the
// default port of the scheme.
func canonicalHost(scheme string, u *url.URL) (string, bool) {
	name := u.Hostname()
	host := strings.ToLower(name)
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	} else if ascii, err := idna.Lookup.ToASCII(host); err == nil && ascii != "" {
		host = ascii
	} else if host == "" || !isASCIIHost(host) {
		return "", false
	}
	if port := u.Port(); port != "" {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return "", false
		}
		if !(scheme == "http" && n == 80 || scheme == "https" && n == 443) {
			host += ":" + strconv.Itoa(n)
		}
	}
	return host, true
}

// isASCIIHost accepts host names that IDNA refuses but that resolve in practice, such
// as names with underscores.
func isASCIIHost(host string) bool {
	for _, r := range host {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_') {
			return false
		}
	}
	return true
}

// percentEncode encodes bytes that a URL must not contain: non-ASCII bytes, some
// punctuation, and "%" that does not begin an escape. Everything else stays as it is.
func percentEncode(text string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c > ' ' && c < 0x7f && !strings.ContainsRune("\"<>^`{|}", rune(c)) && (c != '%' || isEscape(text[i:])) {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + hex[c>>4:c>>4+1] + hex[c&15:c&15+1])
	}
	return b.String()
}

func isEscape(text string) bool {
	if len(text) < 3 {
		return false
	}
	_, err := strconv.ParseUint(text[1:3], 16, 8)
	return err == nil
}
