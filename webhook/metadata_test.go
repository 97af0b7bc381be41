package webhook

import (
	"fmt"
	"net/netip"
	"testing"
)

// embeddedForms are the forms of IPv6 addresses that embed an IPv4 address.
var embeddedForms = map[string]func(netip.Addr) string{
	"mapped":              func(a netip.Addr) string { return "::ffff:" + a.String() },
	"mapped, hexadecimal": func(a netip.Addr) string { return "::ffff:" + groups(a) },
	"compatible":          func(a netip.Addr) string { return "::" + a.String() },
	"translated":          func(a netip.Addr) string { return "::ffff:0:" + a.String() },
	"NAT64":               func(a netip.Addr) string { return "64:ff9b::" + a.String() },
	"NAT64, local":        func(a netip.Addr) string { return "64:ff9b:1::" + a.String() },
	"NAT64, local, /48": func(a netip.Addr) string {
		b := a.As4()
		return fmt.Sprintf("64:ff9b:1:%02x%02x:%02x:%02x00::", b[0], b[1], b[2], b[3])
	},
	"6to4":           func(a netip.Addr) string { return "2002:" + groups(a) + "::1" },
	"Teredo, server": func(a netip.Addr) string { return "2001:0:" + groups(a) + "::" },
	"Teredo, client": func(a netip.Addr) string {
		b := a.As4()
		return "2001::" + groups(netip.AddrFrom4([4]byte{^b[0], ^b[1], ^b[2], ^b[3]}))
	},
	"ISATAP":                func(a netip.Addr) string { return "fe80::5efe:" + groups(a) },
	"ISATAP, global":        func(a netip.Addr) string { return "2a00:1450::200:5efe:" + groups(a) },
	"ISATAP, private":       func(a netip.Addr) string { return "fd00:1::5efe:" + groups(a) },
	"ISATAP, below a group": func(a netip.Addr) string { return "2a00:1450:1:1:0:5efe:" + groups(a) },
}

// groups formats an IPv4 address as two groups of an IPv6 address.
func groups(a netip.Addr) string {
	b := a.As4()
	return fmt.Sprintf("%02x%02x:%02x%02x", b[0], b[1], b[2], b[3])
}

func TestMayConnect_MetadataAddress_IsNeverAllowed(t *testing.T) {
	everything := parseAllow(t, "0.0.0.0/0 ::/0")
	assertRefused := func(t *testing.T, text string) {
		t.Helper()
		addr := netip.MustParseAddr(text)
		if everything.mayConnect(addr, false) || everything.mayConnect(addr, true) {
			t.Errorf("%s can be reached", text)
		}
	}
	for _, m := range metadataAddresses {
		t.Run(m.provider, func(t *testing.T) {
			for _, addr := range []netip.Addr{m.prefix.Addr(), lastOf(m.prefix)} {
				assertRefused(t, addr.String())
				if !addr.Is4() {
					assertRefused(t, addr.String()+"%eth0")
					continue
				}
				for name, embed := range embeddedForms {
					t.Run(name, func(t *testing.T) { assertRefused(t, embed(addr)) })
				}
			}
		})
	}
	for _, text := range []string{
		"169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.0.23", "169.254.42.42", "fd00:ec2::254", "fd00:ec2::23",
		"64:ff9b:1:a9fe:a9:fe00::", "fd00:64::a9fe:a9fe", "2a00:1450:64::a9fe:a9fe",
	} {
		assertRefused(t, text)
	}
	for _, text := range []string{"10.0.0.1", "127.0.0.1", "100.100.100.201", "fd00:c1::1", "fd00:100::100:201", "fe80::1", "2a00:1450::5efe:808:808"} {
		if !everything.mayConnect(netip.MustParseAddr(text), false) {
			t.Errorf("%s cannot be reached although everything is allowed", text)
		}
	}
}

// An IPv6 address that embeds a private address is forbidden, too.
func TestMayConnect_EmbeddedPrivateAddress_IsForbidden(t *testing.T) {
	var none AllowList
	for _, text := range []string{"10.0.0.1", "127.0.0.1", "192.168.1.1", "100.64.0.1", "172.16.0.1"} {
		for name, embed := range embeddedForms {
			if none.mayConnect(netip.MustParseAddr(embed(netip.MustParseAddr(text))), false) {
				t.Errorf("%s, %s, can be reached", text, name)
			}
		}
	}
	if !none.mayConnect(netip.MustParseAddr("2a00:1450::5efe:808:808"), false) {
		t.Error("a public address that embeds a public one cannot be reached")
	}
}
