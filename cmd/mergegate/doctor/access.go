package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/mergegate/mergegate/models"
)

// secrets opens all stored secrets with the configured keys.
func (e *examination) secrets(ctx context.Context) {
	const help = "Set the key that sealed them in MERGEGATE_OLD_SECRET_KEYS. If it is lost, remove the services and add them again with new secrets."
	if e.Sealer == nil {
		e.add("secrets", Fault, "Put the file secret_key back into the data folder, or set MERGEGATE_SECRET_KEY. Without it the server makes a new key, which opens no stored secret.",
			"There is a database, but no secret key.")
		return
	}
	n, unreadable, err := e.store.CheckSecrets(ctx)
	switch {
	case err != nil:
		e.add("secrets", Fault, "Look at the database.", "The stored secrets cannot be read: %v.", err)
	case len(unreadable) > 0:
		var services []string
		for _, u := range unreadable[:min(len(unreadable), maxListed)] {
			services = append(services, fmt.Sprintf("%d of project %d", u.ServiceID, u.ProjectID))
		}
		e.add("secrets", Fault, help, "The secret key does not open the secrets of %s: %s.", count(len(unreadable), "service"), list(services, len(unreadable)))
	default:
		e.ok("secrets", "The secret key opens %s.", count(n, "stored secret"))
	}
}

// Tokens that expired or will expire within these times are reported.
const (
	expiredSince = 30 * 24 * time.Hour
	expiresSoon  = 14 * 24 * time.Hour
)

// tokens lists access tokens that have expired or will soon.
func (e *examination) tokens(ctx context.Context) {
	now := e.Now()
	expired, nExpired, err := e.store.TokensExpiringBetween(ctx, now.Add(-expiredSince), now, maxListed)
	if err == nil {
		var soon []models.AccessToken
		var nSoon int64
		if soon, nSoon, err = e.store.TokensExpiringBetween(ctx, now, now.Add(expiresSoon), maxListed); err == nil {
			const help = "Its owner creates or rotates it and gives the new one to the service or script that uses it."
			if nExpired > 0 {
				e.add("tokens", Warning, help, "Access tokens that expired within 30 days: %s.", list(tokenNames(expired), int(nExpired)))
			}
			if nSoon > 0 {
				e.add("tokens", Warning, help, "Access tokens that expire within 14 days: %s.", list(tokenNames(soon), int(nSoon)))
			}
			if nExpired+nSoon == 0 {
				e.ok("tokens", "No access token has expired within 30 days or will within 14.")
			}
		}
	}
	if err != nil {
		e.add("tokens", Fault, "Look at the database.", "The access tokens cannot be read: %v.", err)
	}
}

func tokenNames(tokens []models.AccessToken) []string {
	names := make([]string, len(tokens))
	for i, t := range tokens {
		names[i] = fmt.Sprintf("%q of %s (%s)", t.Name, t.User.Username, t.ExpiresAt.UTC().Format(time.DateOnly))
	}
	return names
}
