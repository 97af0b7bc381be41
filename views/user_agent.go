package views

import "strings"

// agentMark is a substring of a User-Agent and the name it identifies.
type agentMark struct{ mark, name string }

// browserMarks are tried in order, because newer browsers also contain the marks of
// older ones.
var browserMarks = []agentMark{
	{"Edg/", "Microsoft Edge"}, {"EdgA/", "Microsoft Edge"}, {"EdgiOS/", "Microsoft Edge"},
	{"OPR/", "Opera"}, {"OPT/", "Opera"}, {"Vivaldi/", "Vivaldi"}, {"SamsungBrowser/", "Samsung Internet"},
	{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
	{"Chromium/", "Chromium"}, {"CriOS/", "Chrome"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"},
	{"Safari/", "Safari"},
}

// systemMarks are tried in order, because phones also contain the marks of desktop
// systems.
var systemMarks = []agentMark{
	{"iPhone", "iOS"}, {"iPod", "iOS"}, {"iPad", "iPadOS"}, {"Android", "Android"}, {"CrOS", "ChromeOS"},
	{"Windows", "Windows"}, {"Macintosh", "macOS"}, {"FreeBSD", "FreeBSD"}, {"OpenBSD", "OpenBSD"}, {"Linux", "Linux"}, {"X11", "Linux"},
}

// programMarks are User-Agent prefixes of programs other than browsers.
var programMarks = []string{"git", "curl", "Wget", "python-requests", "Go-http-client", "okhttp"}

// maxAgent is the greatest length of an unknown User-Agent, in characters.
const maxAgent = 60

// readAgent returns the browser or program of a User-Agent, such as "Firefox" or
// "curl 8.5.0", and its system, empty if unknown. An unknown User-Agent is
// returned truncated. The result is only for display, because clients can send
// any User-Agent.
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

// cutText returns s truncated to limit characters, with … as the last one.
func cutText(s string, limit int) string {
	if letters := []rune(s); len(letters) > limit {
		return string(letters[:limit-1]) + "…"
	}
	return s
}
