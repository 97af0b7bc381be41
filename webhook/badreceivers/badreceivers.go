// Package badreceivers has services that misbehave, for tests.
package badreceivers

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"time"
)

// Receiver is a misbehaving service.
type Receiver struct {
	// Serve gets a connection after the first byte of the request was read. The
	// caller closes the connection.
	Serve func(net.Conn)
	// Status and Error are those of the recorded attempt: 0 without a status, and
	// a value of models.AttemptResult.Error.
	Status int
	Error  string
}

// All are services that misbehave over HTTP, and over HTTPS after the handshake.
var All = map[string]Receiver{
	"nothing":                {hold, 0, "timeout"},
	"nothing, unread":        {func(c net.Conn) { time.Sleep(2 * time.Second) }, 0, "timeout"},
	"101, unread":            {answerAnd("HTTP/1.1 101 Switching Protocols\r\n\r\n", func(c net.Conn) { time.Sleep(2 * time.Second) }), 101, "invalid_answer"},
	"reset":                  {reset, 0, "other"},
	"101 and hold":           {answerAnd("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", hold), 101, "invalid_answer"},
	"101 and flood":          {answerAnd("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", repeat("x", 1000, 0)), 101, "invalid_answer"},
	"101 bare":               {answerAnd("HTTP/1.1 101 Switching Protocols\r\n\r\n", hold), 101, "invalid_answer"},
	"104":                    {answerAnd("HTTP/1.1 104 Upload Resumption Supported\r\n\r\n", hold), 104, "invalid_answer"},
	"199 and a good answer":  {answerAnd("HTTP/1.1 199 What\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", hold), 199, "invalid_answer"},
	"102 and a good answer":  {answerAnd("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", hold), 200, ""},
	"1xx flood":              {repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100, 0), 103, "invalid_answer"},
	"1xx drip":               {repeat("HTTP/1.1 102 Processing\r\n\r\n", 1, 50*time.Millisecond), 0, "timeout"},
	"status 000":             {answerAnd("HTTP/1.1 000 Nothing\r\n\r\n", hold), 0, "invalid_answer"},
	"status line drip":       {repeat("H", 1, 20*time.Millisecond), 0, "timeout"},
	"endless status line":    {answerAnd("HTTP/1.1 200 ", repeat("x", 1000, 0)), 0, "other"},
	"endless header":         {answerAnd("HTTP/1.1 200 OK\r\n", repeat("A: b\r\n", 1000, 0)), 0, "other"},
	"header drip":            {answerAnd("HTTP/1.1 200 OK\r\n", repeat("A: b\r\n", 1, 20*time.Millisecond)), 0, "timeout"},
	"endless body":           {answerAnd("HTTP/1.1 200 OK\r\n\r\n", repeat("x", 1000, 0)), 200, ""},
	"body drip":              {answerAnd("HTTP/1.1 200 OK\r\n\r\n", repeat("x", 1, 20*time.Millisecond)), 200, ""},
	"chunk size drip":        {answerAnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", repeat("0", 1, 20*time.Millisecond)), 200, ""},
	"endless trailer":        {answerAnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", repeat("A: b\r\n", 1000, 0)), 200, ""},
	"body of a failure drip": {answerAnd("HTTP/1.1 500 No\r\n\r\n", repeat("x", 1, 20*time.Millisecond)), 500, ""},
	"HTTP/2":                 {answerAnd("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", hold), 0, "timeout"},
	"HTTP/2 preface":         {answerAnd("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", hold), 0, "other"},

	"body of 3 GB":                   {answerAnd("HTTP/1.1 200 OK\r\nContent-Length: 3221225472\r\n\r\n", repeat("x", 1<<16, 0)), 200, ""},
	"body shorter than promised":     {answerAnd("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour", nothing), 200, ""},
	"reset in the body":              {answerAnd("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour", reset), 200, ""},
	"body longer than promised":      {answerAnd("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour and more", hold), 200, ""},
	"204 with a body":                {answerAnd("HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nfour", hold), 204, ""},
	"two lengths":                    {answerAnd("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nfour", hold), 0, "other"},
	"negative length":                {answerAnd("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", hold), 0, "other"},
	"length and chunks":              {answerAnd("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", hold), 200, ""},
	"unknown transfer encoding":      {answerAnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\n", hold), 0, "other"},
	"broken chunk size":              {answerAnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", hold), 200, ""},
	"chunk size of 80 bits":          {answerAnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n", hold), 200, ""},
	"endless chunk extension":        {answerAnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", repeat("x", 1000, 0)), 200, ""},
	"chunks of one byte":             {answerAnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", repeat("1\r\nx\r\n", 1000, 0)), 200, ""},
	"gzip bomb":                      {answerAnd("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"+bomb(), nothing), 200, ""},
	"header of 1 MB":                 {answerAnd("HTTP/1.1 200 OK\r\nA: "+strings.Repeat("b", 1<<20)+"\r\n\r\n", hold), 0, "other"},
	"header with NUL":                {answerAnd("HTTP/1.1 200 OK\r\nA\x00: b\r\n\r\n", hold), 0, "other"},
	"header without colon":           {answerAnd("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", hold), 0, "other"},
	"body that is no text":           {answerAnd("HTTP/1.1 200 OK\r\n\r\n\x00\xff\x1b[2J", nothing), 200, ""},
	"two answers":                    {answerAnd("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 No\r\n\r\n", hold), 200, ""},
	"line ends without CR":           {answerAnd("HTTP/1.1 200 OK\n\n", nothing), 200, ""},
	"status of five digits":          {answerAnd("HTTP/1.1 20000 OK\r\n\r\n", hold), 0, "other"},
	"status 999":                     {answerAnd("HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n", hold), 999, ""},
	"no HTTP":                        {answerAnd("220 mail.example ESMTP\r\n", hold), 0, "other"},
	"close":                          {nothing, 0, "other"},
	"reset in the status line":       {answerAnd("HTTP/1.1 20", reset), 0, "other"},
	"close in the header":            {answerAnd("HTTP/1.1 200 OK\r\nA: ", nothing), 0, "other"},
	"redirect":                       {answerAnd("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", hold), 302, "redirect"},
	"redirect to a metadata service": {answerAnd("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", hold), 307, "redirect"},
	"304":                            {answerAnd("HTTP/1.1 304 Not Modified\r\n\r\n", hold), 304, ""},
	"429 for a century":              {answerAnd("HTTP/1.1 429 Slow\r\nRetry-After: 3153600000\r\nContent-Length: 0\r\n\r\n", hold), 429, ""},
	"503 with a wrong Retry-After":   {answerAnd("HTTP/1.1 503 No\r\nRetry-After: -1e9\r\nContent-Length: 0\r\n\r\n", hold), 503, ""},
}

// TLS are services that misbehave during the handshake of HTTPS.
var TLS = map[string]Receiver{
	"no handshake":      {hold, 0, "timeout"},
	"handshake drip":    {answerAnd("\x16\x03\x03\x40\x00", repeat("\x02", 1, 20*time.Millisecond)), 0, "timeout"},
	"plain HTTP":        {answerAnd("HTTP/1.1 200 OK\r\n\r\n", hold), 0, "tls"},
	"alert":             {answerAnd("\x15\x03\x03\x00\x02\x02\x28", hold), 0, "tls"},
	"endless warnings":  {repeat("\x15\x03\x03\x00\x02\x01\x70", 100, 0), 0, "tls"},
	"no record":         {answerAnd("\x00\x01\x02\x03\x04\x05\x06\x07", hold), 0, "tls"},
	"record of 64 KiB":  {answerAnd("\x16\x03\x03\xff\xff", hold), 0, "tls"},
	"close after hello": {nothing, 0, "other"},
	"reset after hello": {reset, 0, "other"},
	"application data":  {answerAnd("\x17\x03\x03\x00\x01x", hold), 0, "tls"},
	"empty records":     {repeat("\x16\x03\x03\x00\x00", 100, 0), 0, "tls"},
}

// nothing leaves it to the caller to close the connection.
func nothing(net.Conn) {}

// bomb returns 10 MB of zeros, compressed.
func bomb() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(make([]byte, 10<<20))
	_ = w.Close()
	return b.String()
}

// hold reads until the peer closes the connection.
func hold(c net.Conn) { io.Copy(io.Discard, c) }

func answerAnd(answer string, next func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, answer)
		next(c)
	}
}

// repeat writes text n times, pauses, and repeats until the connection is closed.
func repeat(text string, n int, pause time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, strings.Repeat(text, n)); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}
}

// reset closes the connection with a TCP reset.
func reset(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}
