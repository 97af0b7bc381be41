package webhook

import (
	"net/netip"
	"testing"

	"code.dny.dev/ssrf"
)

// parseAllow parses a valid allow list.
func parseAllow(t *testing.T, text string) AllowList {
	t.Helper()
	list, err := ParseAllowList(text)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var forbidden = []string{
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1",
	"169.254.0.1", "168.63.129.16", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1",
	"192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
	"255.255.255.255",
	"::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "fd12:3456::1", "ff02::1", "100::1", "2001::1",
	"2001:10::1", "2001:20::1", "2001:db8::1", "2002:808:808::1", "3fff::1", "5f00::1", "4000::1", "1fff::1",
	// IPv4 addresses, also public ones, in forms of IPv6.
	"::ffff:10.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1", "::8.8.8.8", "64:ff9b::10.0.0.1", "64:ff9b::8.8.8.8",
	"64:ff9b:1::10.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "fe80::1%eth0",
}

func TestMayConnect_ForbiddenAddresses(t *testing.T) {
	var none AllowList
	for _, text := range forbidden {
		if none.mayConnect(netip.MustParseAddr(text), false) {
			t.Errorf("%s can be reached", text)
		}
	}
	for _, prefix := range forbiddenPrefixes {
		for _, addr := range []netip.Addr{prefix.Addr(), lastOf(prefix)} {
			if none.mayConnect(addr, false) {
				t.Errorf("%s of %s can be reached", addr, prefix)
			}
		}
	}
	for _, text := range []string{"8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
		"172.15.255.255", "172.32.0.0", "168.63.129.17", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"} {
		if !none.mayConnect(netip.MustParseAddr(text), false) {
			t.Errorf("%s cannot be reached", text)
		}
	}
	if none.mayConnect(netip.Addr{}, false) {
		t.Error("the zero address can be reached")
	}
}

// lastOf returns the last address of a range.
func lastOf(prefix netip.Prefix) netip.Addr {
	b := prefix.Addr().AsSlice()
	for i := prefix.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

// TestMayConnect_RangesOfSSRFLibrary_AreForbidden compares the list with an
// independent one.
func TestMayConnect_RangesOfSSRFLibrary_AreForbidden(t *testing.T) {
	var none AllowList
	denied := append(append([]netip.Prefix{ssrf.IPv6NAT64Prefix}, ssrf.IPv4DeniedPrefixes...), ssrf.IPv6DeniedPrefixes...)
	for _, prefix := range denied {
		for _, addr := range []netip.Addr{prefix.Addr(), lastOf(prefix)} {
			if none.mayConnect(addr, false) {
				t.Errorf("%s of %s can be reached", addr, prefix)
			}
		}
	}
}

func TestMayConnect_AllowedRanges(t *testing.T) {
	list := parseAllow(t, "10.1.0.0/16, 64:ff9b::/96\n127.0.0.1/32")
	for text, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "127.0.0.1": true, "127.0.0.2": false,
		// The list allows the NAT64 prefix, but not every address behind it.
		"64:ff9b::8.8.8.8": true, "64:ff9b::10.1.2.3": true, "64:ff9b::10.2.0.1": false, "64:ff9b::127.0.0.2": false,
	} {
		if got := list.mayConnect(netip.MustParseAddr(text), false); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestAllowsHost(t *testing.T) {
	list := parseAllow(t, "CI.Internal:8080,bücher.example,10.0.0.5,[fd00::1]:81,10.0.0.6:82,::2")
	for _, c := range []struct {
		host string
		port uint16
		want bool
	}{
		{"ci.internal", 8080, true}, {"ci.internal.", 8080, true}, {"ci.internal", 8081, false}, {"x.ci.internal", 8080, false},
		{"xn--bcher-kva.example", 443, true}, {"BÜCHER.example", 1, true},
		{"10.0.0.5", 1, true}, {"::ffff:10.0.0.5", 1, true}, {"10.0.0.50", 1, false},
		{"fd00:0::1", 81, true}, {"fd00::1", 80, false}, {"10.0.0.6", 82, true}, {"10.0.0.6", 83, false}, {"::2", 9, true},
		{"", 80, false},
	} {
		if got := list.allowsHost(c.host, c.port); got != c.want {
			t.Errorf("%s:%d: %v", c.host, c.port, got)
		}
	}
}

func TestParseAllowList_InvalidEntry_ReturnsError(t *testing.T) {
	for _, text := range []string{"10.0.0.0/33", "10.0.0.0/x", "host:0", "host:70000", "host:", ":80", "*.internal", "http://x/", "a:b:c", "[x", "user@host"} {
		if list, err := ParseAllowList(text); err == nil {
			t.Errorf("%q is parsed as %+v", text, list)
		}
	}
	for _, text := range []string{"", " ", ","} {
		if list, err := ParseAllowList(text); err != nil || len(list.hosts)+len(list.prefixes) != 0 {
			t.Errorf("%q: %+v, %v", text, list, err)
		}
	}
}

// FuzzMayConnect checks that no form of a forbidden IPv4 address is allowed.
func FuzzMayConnect(f *testing.F) {
	for _, text := range forbidden {
		b := netip.MustParseAddr(text).As16()
		f.Add(b[:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		addr, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		var none AllowList
		if !none.mayConnect(addr, false) {
			return
		}
		plain := addr.Unmap()
		if !plain.IsGlobalUnicast() || plain.IsPrivate() || plain.IsLoopback() || plain.IsLinkLocalUnicast() {
			t.Errorf("%s can be reached", addr)
		}
		for _, inner := range embeddedIPv4(plain) {
			if !isPublic(inner) || isMetadata(inner) {
				t.Errorf("%s can be reached and embeds %v", addr, inner)
			}
		}
	})
}
