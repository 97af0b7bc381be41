package views

// DraftTest is the result of Send test in the form of a service.
type DraftTest struct {
	// Problems are messages about what is entered; nothing was sent then.
	Problems []string
	// Attempt is the answer, nil if nothing was sent.
	Attempt *AttemptView
	// Withheld reports whether stored values were left out because the URL is another one.
	Withheld bool
	// Signed reports whether the request has signatures.
	Signed bool
	// RequestLine, Headers and Body are the request as sent.
	RequestLine string
	Headers     []Header
	Body        string
}

// Receiver is a short program that receives and answers deliveries.
type Receiver struct {
	// ID is a word for element ids, Language the name of the programming language.
	ID, Language string
	Code         string
}
