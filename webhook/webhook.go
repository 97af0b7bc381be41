// Package webhook turns an event into the bytes that are sent, signs them, and
// sends them once, through an HTTP client that reaches only addresses it is
// allowed to reach. When to send, and how often, is for the packages models
// and jobs to say.
package webhook
