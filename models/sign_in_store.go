package models

import (
	"context"
	"net/netip"
	"time"
)

// The limits of password sign-ins within SignInWindow. Attempts on an account are
// counted per address, so that wrong passwords from other addresses do not lock its
// owner out. The limit per address allows for an office behind one address.
const (
	MaxSignInsPerAccount = 10
	MaxSignInsPerAddress = 300
	SignInWindow         = 10 * time.Minute
)

// CountSignInAttempt counts an attempt to sign in to an account from an address and
// reports whether it is within the limits. account is a user's UsernameKey, or the name
// that was typed if there is no such user.
func (s *Store) CountSignInAttempt(ctx context.Context, account, address string) (bool, error) {
	byAccount, err := s.CountAttempt(ctx, signInCounter(account, address), MaxSignInsPerAccount, SignInWindow)
	if err != nil {
		return false, err
	}
	byAddress, err := s.CountAttempt(ctx, "sign_in:address:"+network(address), MaxSignInsPerAddress, SignInWindow)
	return byAccount && byAddress, err
}

// ResetSignInAttempts clears the counter of an account at an address. Call it after a
// successful sign-in.
func (s *Store) ResetSignInAttempts(ctx context.Context, account, address string) error {
	return s.ResetAttempts(ctx, signInCounter(account, address))
}

// signInCounter returns the counter's name. The account comes last, because long names
// are cut.
func signInCounter(account, address string) string {
	return "sign_in:account:" + network(address) + ":" + foldKey(account)
}

// network returns the address range that one client may control: an IPv4 address or the
// /64 of an IPv6 address.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Unmap().Is4() {
		return address
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}
