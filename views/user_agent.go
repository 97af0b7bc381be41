package views

import "strings"

// agentMark is a mark in a User-Agent and what it stands for.
type agentMark struct{ mark, name string }

// browserMarks are tried in turn: browsers claim to be the older ones, too.
var browserMarks = []agentMark{
	{"Edg/", "Microsoft Edge"}, {"EdgA/", "Microsoft Edge"}, {"EdgiOS/", "Microsoft Edge"},
	{"OPR/", "Opera"}, {"OPT/", "Opera"}, {"Vivaldi/", "Vivaldi"}, {"SamsungBrowser/", "Samsung Internet"},
	{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
	{"Chromium/", "Chromium"}, {"CriOS/", "Chrome"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"},
	{"Safari/", "Safari"},
}

// systemMarks are tried in turn, too: phones claim to be computers.
var systemMarks = []agentMark{
	{"iPhone", "iOS"}, {"iPod", "iOS"}, {"iPad", "iPadOS"}, {"Android", "Android"}, {"CrOS", "ChromeOS"},
	{"Windows", "Windows"}, {"Macintosh", "macOS"}, {"FreeBSD", "FreeBSD"}, {"OpenBSD", "OpenBSD"}, {"Linux", "Linux"}, {"X11", "Linux"},
}

// programMarks begin what programs that are no browsers call themselves.
var programMarks = []string{"git", "curl", "Wget", "python-requests", "Go-http-client", "okhttp"}

// maxAgent is how much of an unknown User-Agent is shown, in characters.
const maxAgent = 60

// readAgent takes from a User-Agent who it is, "Firefox" or "curl 8.5.0", and
// on what system, "" where it does not say. What nobody knows is shown as it
// is, cut short; nothing depends on it, it may be a lie.
func readAgent(raw string) (browser, system string) {
	raw = strings.TrimSpace(raw)
	for _, program := range programMarks {
		if rest, ok := strings.CutPrefix(raw, program+"/"); ok {
			version, _, _ := strings.Cut(rest, " ")
			return cutText(program+" "+version, maxAgent), ""
		}
	}
	if browser = firstMark(browserMarks, raw); browser == "" || !strings.HasPrefix(raw, "Mozilla/") {
		return cutText(raw, maxAgent), ""
	}
	return browser, firstMark(systemMarks, raw)
}

func firstMark(marks []agentMark, raw string) string {
	for _, m := range marks {
		if strings.Contains(raw, m.mark) {
			return m.name
		}
	}
	return ""
}

// cutText is text with at most limit characters, the last of them … where some
// are missing.
func cutText(s string, limit int) string {
	if letters := []rune(s); len(letters) > limit {
		return string(letters[:limit-1]) + "…"
	}
	return s
}
