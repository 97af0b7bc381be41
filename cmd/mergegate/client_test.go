package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// client calls the API with a token.
type client struct {
	t     *testing.T
	url   string
	token string
}

// call sends a request and decodes the JSON response into into, which may be nil.
func (c client) call(method, path string, body any, wantStatus int, into any) {
	c.t.Helper()
	status, answer := c.try(method, path, body)
	if status != wantStatus {
		c.t.Fatalf("%s %s: %d %s, want %d", method, path, status, answer, wantStatus)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		c.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

func (c client) try(method, path string, body any) (int, []byte) {
	c.t.Helper()
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, c.url+"/api/v4"+path, reader)
	if err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("PRIVATE-TOKEN", c.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, answer
}
