package webhook

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// forbiddenPrefixes are the addresses that are not of the public internet.
// Those of IPv6 add to the rule that only 2000::/3 is public.
var forbiddenPrefixes = prefixes(
	"0.0.0.0/8",         // this network; 0.0.0.0 is the machine itself
	"10.0.0.0/8",        // private
	"100.64.0.0/10",     // carrier's shared space
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
	"::/128",            // the machine itself
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

// publicIPv6 is all of IPv6 that is given out to the public internet.
var publicIPv6 = netip.MustParsePrefix("2000::/3")

// AllowList is what the operator opened beyond the public internet.
type AllowList struct {
	prefixes []netip.Prefix
	hosts    []allowedHost
}

// allowedHost is a host name or address, on one port or on all (0).
type allowedHost struct {
	name string
	port uint16
}

// ParseAllowList reads MERGEGATE_OUTBOUND_ALLOW: entries separated by commas
// or spaces, each a range (10.0.0.0/8), or a host or address with or without a
// port (ci.internal:8080, 10.1.2.3, [fd00::1]:80). A host that is allowed may
// resolve to any address but metadata. Empty text allows nothing.
func ParseAllowList(text string) (AllowList, error) {
	var list AllowList
	for _, entry := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' }) {
		if strings.Contains(entry, "/") {
			prefix, err := netip.ParsePrefix(entry)
			if err != nil {
				return AllowList{}, fmt.Errorf("%q is not a range of addresses such as 10.0.0.0/8", entry)
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

// parseAllowedHost reads host, host:port, address, [address] or
// [address]:port.
func parseAllowedHost(entry string) (allowedHost, error) {
	fault := fmt.Errorf("%q is not a host, host:port or range of addresses", entry)
	bare := strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]")
	if addr, err := netip.ParseAddr(bare); err == nil {
		return allowedHost{name: addr.Unmap().String()}, nil
	}
	name, port := entry, uint64(0)
	if strings.Contains(entry, ":") {
		host, digits, err := net.SplitHostPort(entry)
		if err != nil {
			return allowedHost{}, fault
		}
		if port, err = strconv.ParseUint(digits, 10, 16); err != nil || port == 0 {
			return allowedHost{}, fault
		}
		name = host
	}
	name = canonicalHost(name)
	if name == "" || strings.ContainsAny(name, "*@?#[]\\") {
		return allowedHost{}, fault
	}
	return allowedHost{name: name, port: uint16(port)}, nil
}

// canonicalHost is a host as it is compared: an address in its shortest form,
// or a name in lower case and punycode without the final dot.
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

// allowsHost reports whether the operator opened this host, as it stands in
// the URL, on this port.
func (l AllowList) allowsHost(host string, port uint16) bool {
	host = canonicalHost(host)
	for _, allowed := range l.hosts {
		if allowed.name == host && (allowed.port == 0 || allowed.port == port) {
			return true
		}
	}
	return false
}

// allowsAddress reports whether the operator opened a range around addr.
func (l AllowList) allowsAddress(addr netip.Addr) bool {
	for _, prefix := range l.prefixes {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// reachable reports whether a connection to addr may be opened. hostAllowed
// says that the operator opened the host that was resolved. An address that
// carries others inside must pass with all of them.
func (l AllowList) reachable(addr netip.Addr, hostAllowed bool) bool {
	addr = addr.WithZone("").Unmap()
	all := append(embedded(addr), addr)
	for _, a := range all {
		if isMetadata(a) {
			return false
		}
	}
	if hostAllowed {
		return true
	}
	for _, a := range all {
		if !public(a) && !l.allowsAddress(a) {
			return false
		}
	}
	return true
}

// public reports whether addr is of the public internet.
func public(addr netip.Addr) bool {
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
