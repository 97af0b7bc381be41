package webhook

import "net/netip"

// metadataAddresses are metadata services of clouds, which give out credentials.
// The allow list cannot allow them.
var metadataAddresses = []struct {
	prefix   netip.Prefix
	provider string
}{
	// The whole link-local range: besides 169.254.169.254, which most clouds
	// use, AWS has 169.254.170.2 and 169.254.170.23 (containers), Tencent
	// 169.254.0.23, Scaleway 169.254.42.42.
	{netip.MustParsePrefix("169.254.0.0/16"), "AWS, Azure, DigitalOcean, Google, Hetzner, IBM, OpenStack, Scaleway, Tencent, Vultr and others"},
	{netip.MustParsePrefix("168.63.129.16/32"), "Azure, platform"},
	{netip.MustParsePrefix("100.100.100.200/32"), "Alibaba"},
	{netip.MustParsePrefix("100.80.80.80/32"), "UCloud"},
	{netip.MustParsePrefix("100.96.0.96/32"), "Volcengine"},
	{netip.MustParsePrefix("192.0.0.192/32"), "Oracle, classic"},
	{netip.MustParsePrefix("fd00:ec2::/32"), "AWS"},
	{netip.MustParsePrefix("fd20:ce::254/128"), "Google"},
	{netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), "Oracle"},
	{netip.MustParsePrefix("fd00:a9fe:a9fe::1/128"), "Akamai (Linode)"},
	{netip.MustParsePrefix("fd00:100::100:200/128"), "Alibaba"},
	{netip.MustParsePrefix("fd00:42::42/128"), "Scaleway"},
	{netip.MustParsePrefix("fe80::a9fe:a9fe/128"), "OpenStack"},
}

// isMetadata reports whether addr is in metadataAddresses, or is an IPv6 address
// that ends in 169.254.169.254, because any prefix may be a network's NAT64
// prefix.
func isMetadata(addr netip.Addr) bool {
	for _, m := range metadataAddresses {
		if m.prefix.Contains(addr) {
			return true
		}
	}
	if !addr.Is6() {
		return false
	}
	b := addr.As16()
	return [4]byte(b[12:]) == [4]byte{169, 254, 169, 254}
}

// embeddedIPv4 returns the IPv4 addresses that an IPv6 address may reach through
// a translator or tunnel. It returns nil for an IPv4 address.
func embeddedIPv4(addr netip.Addr) []netip.Addr {
	if !addr.Is6() {
		return nil
	}
	b := addr.As16()
	ipv4 := func(a, b, c, d byte) netip.Addr { return netip.AddrFrom4([4]byte{a, b, c, d}) }
	last := ipv4(b[12], b[13], b[14], b[15])
	within := func(prefix string) bool { return netip.MustParsePrefix(prefix).Contains(addr) }
	var found []netip.Addr
	switch {
	case within("::/96") && b[12] != 0, // compatible
		within("::ffff:0:0:0/96"), // translated (SIIT)
		within("64:ff9b::/96"):    // NAT64
		found = append(found, last)
	case within("64:ff9b:1::/48"):
		// The operator's prefix may have any of the lengths of RFC 6052 that
		// fit: 48 (around the zero byte), 56, 64 or 96.
		found = append(found, last, ipv4(b[6], b[7], b[9], b[10]), ipv4(b[7], b[9], b[10], b[11]), ipv4(b[9], b[10], b[11], b[12]))
	case within("2002::/16"): // 6to4
		found = append(found, ipv4(b[2], b[3], b[4], b[5]))
	case within("2001::/32"): // Teredo: the server, and the client inverted
		found = append(found, ipv4(b[4], b[5], b[6], b[7]), ipv4(^b[12], ^b[13], ^b[14], ^b[15]))
	}
	// ISATAP: 0:5efe or 200:5efe and the address, below any prefix.
	if b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		found = append(found, last)
	}
	return found
}
