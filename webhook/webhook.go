// Package webhook renders, signs and sends deliveries.
//
// [Payload] renders an event as the JSON of GitLab's merge request hook.
// [Client.Send] signs a payload and makes one HTTP request, only to addresses
// of the public internet and of an [AllowList]. Packages models and jobs decide
// when and how often to send.
package webhook
