// Package auth authenticates users and decides what they may do.
//
// [HashPassword], [CheckPassword], [NewAccessToken] and [NewSessionID] create
// and check credentials. [Can] and [Decide] look up abilities in a table of
// roles. A [Keyring] encrypts secrets that must be read back from the database.
//
// The package uses neither HTTP nor the database. Its callers load rows and
// read requests.
package auth
