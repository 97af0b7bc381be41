package views

import (
	"strings"
	"testing"
)

func TestReadAgent(t *testing.T) {
	for _, tt := range []struct{ raw, browser, system string }{
		{"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox", "Linux"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", "Chrome", "Windows"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Microsoft Edge", "Windows"},
		{"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome", "Android"},
		{"Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36", "Samsung Internet", "Android"},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "Safari", "macOS"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.0.0 Mobile/15E148 Safari/604.1", "Chrome", "iOS"},
		{"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/145.0 Mobile/15E148 Safari/605.1.15", "Firefox", "iPadOS"},
		{"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", "Chrome", "ChromeOS"},
		{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36", "Chrome", "Linux"},
		{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 OPR/124.0.0.0", "Opera", "Linux"},
		{"git/2.39.5 (Apple Git-154)", "git 2.39.5", ""},
		{"curl/8.5.0", "curl 8.5.0", ""},
		{"Mozilla/5.0 (compatible; MSIE 9.0)", "Mozilla/5.0 (compatible; MSIE 9.0)", ""},
		{"Firefox/", "Firefox/", ""},
		{"", "", ""},
		{"  \t ", "", ""},
		{"<script>alert(1)</script>", "<script>alert(1)</script>", ""},
		{strings.Repeat("界", 61), strings.Repeat("界", 59) + "…", ""},
		{"curl/" + strings.Repeat("9", 255), "curl " + strings.Repeat("9", 54) + "…", ""},
	} {
		if browser, system := readAgent(tt.raw); browser != tt.browser || system != tt.system {
			t.Errorf("%q: %q on %q, want %q on %q", tt.raw, browser, system, tt.browser, tt.system)
		}
	}
}
