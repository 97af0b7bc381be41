package webhook

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// forbiddenPrefixes are not part of the public internet. For IPv6, everything
// outside publicIPv6 is forbidden, too.
var forbiddenPrefixes = prefixes(
	"0.0.0.0/8",         // this network; 0.0.0.0 is this machine
	"10.0.0.0/8",        // private
	"100.64.0.0/10",     // shared address space of carriers
	"127.0.0.0/8",       // loopback
	"168.63.129.16/32",  // Azure's platform
	"169.254.0.0/16",    // link-local
	"172.16.0.0/12",     // private
	"192.0.0.0/24",      // protocol assignments
	"192.0.2.0/24",      // documentation
	"192.31.196.0/24",   // AS112
	"192.52.193.0/24",   // AMT
	"192.88.99.0/24",    // 6to4 relays
	"192.168.0.0/16",    // private
	"192.175.48.0/24",   // AS112
	"198.18.0.0/15",     // benchmarks
	"198.51.100.0/24",   // documentation
	"203.0.113.0/24",    // documentation
	"224.0.0.0/4",       // multicast
	"240.0.0.0/4",       // reserved, and broadcast
	"::/128",            // this machine
	"::1/128",           // loopback
	"64:ff9b::/96",      // NAT64
	"64:ff9b:1::/48",    // NAT64, local
	"100::/64",          // discard
	"2001::/23",         // protocol assignments: Teredo, ORCHID and others
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
	"5f00::/16",         // segment routing
	"fc00::/7",          // private
	"fe80::/10",         // link-local
	"fec0::/10",         // site-local
	"ff00::/8",          // multicast
)

// publicIPv6 is the IPv6 range from which public addresses are assigned.
var publicIPv6 = netip.MustParsePrefix("2000::/3")

// AllowList holds ranges and hosts that may be reached although they are not
// public. The zero value allows nothing.
type AllowList struct {
	prefixes []netip.Prefix
	hosts    []allowedHost
}

// allowedHost is a host name or address with a port; port 0 means all ports.
type allowedHost struct {
	name string
	port uint16
}

// ParseAllowList parses MERGEGATE_OUTBOUND_ALLOW. Entries are separated by
// commas or spaces. Each is a range (10.0.0.0/8), or a host or address with or
// without a port (ci.internal:8080, 10.1.2.3, [fd00::1]:80). An allowed host may
// resolve to any address except a cloud's metadata service. Empty text allows
// nothing. Errors name the invalid entry.
func ParseAllowList(text string) (AllowList, error) {
	var list AllowList
	for _, entry := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' }) {
		if strings.Contains(entry, "/") {
			prefix, err := netip.ParsePrefix(entry)
			if err != nil {
				return AllowList{}, fmt.Errorf("%q is not an address range such as 10.0.0.0/8", entry)
			}
			list.prefixes = append(list.prefixes, prefix.Masked())
			continue
		}
		host, err := parseAllowedHost(entry)
		if err != nil {
			return AllowList{}, err
		}
		list.hosts = append(list.hosts, host)
	}
	return list, nil
}

// parseAllowedHost parses host, host:port, address, [address] or
// [address]:port.
func parseAllowedHost(entry string) (allowedHost, error) {
	errInvalid := fmt.Errorf("%q is not a host, host:port or address range", entry)
	bare := strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]")
	if addr, err := netip.ParseAddr(bare); err == nil {
		return allowedHost{name: addr.Unmap().String()}, nil
	}
	name, port := entry, uint64(0)
	if strings.Contains(entry, ":") {
		host, digits, err := net.SplitHostPort(entry)
		if err != nil {
			return allowedHost{}, errInvalid
		}
		if port, err = strconv.ParseUint(digits, 10, 16); err != nil || port == 0 {
			return allowedHost{}, errInvalid
		}
		name = host
	}
	name = canonicalHost(name)
	if name == "" || strings.ContainsAny(name, "*@?#[]\\") {
		return allowedHost{}, errInvalid
	}
	return allowedHost{name: name, port: uint16(port)}, nil
}

// canonicalHost returns a host in the form used for comparison: an address in
// its shortest form, or a name in lower case and punycode without final dot.
func canonicalHost(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		return ascii
	}
	return host
}

// allowsHost reports whether the list has the host, as written in the URL, with
// this port.
func (l AllowList) allowsHost(host string, port uint16) bool {
	host = canonicalHost(host)
	for _, allowed := range l.hosts {
		if allowed.name == host && (allowed.port == 0 || allowed.port == port) {
			return true
		}
	}
	return false
}

// allowsAddress reports whether a range of the list contains addr.
func (l AllowList) allowsAddress(addr netip.Addr) bool {
	for _, prefix := range l.prefixes {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// mayConnect reports whether a connection to addr may be opened. hostAllowed
// states that the list allows the host that resolved to addr. If addr embeds
// IPv4 addresses, all of them must be allowed.
func (l AllowList) mayConnect(addr netip.Addr, hostAllowed bool) bool {
	addr = addr.WithZone("").Unmap()
	all := append(embeddedIPv4(addr), addr)
	for _, a := range all {
		if isMetadata(a) {
			return false
		}
	}
	if hostAllowed {
		return true
	}
	for _, a := range all {
		if !isPublic(a) && !l.allowsAddress(a) {
			return false
		}
	}
	return true
}

// isPublic reports whether addr is part of the public internet.
func isPublic(addr netip.Addr) bool {
	if addr.Is6() && !publicIPv6.Contains(addr) {
		return false
	}
	for _, prefix := range forbiddenPrefixes {
		if prefix.Contains(addr) {
			return false
		}
	}
	return addr.IsValid()
}

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}
