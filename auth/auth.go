// Package auth answers two questions: who is this (passwords, access tokens,
// session ids), and may they do that (the table of abilities). It also seals
// secrets that must be stored and read back. It knows neither HTTP nor the
// database: rows and requests are its callers' business.
package auth
