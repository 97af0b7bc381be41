// Command go is a complete status check service. A merge request passes if it has a
// description.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// payload has the fields of a delivery that this service reads.
type payload struct {
	Project          struct{ ID int64 }
	ObjectAttributes struct {
		IID                int64
		State, Description string
		LastCommit         struct{ ID string } `json:"last_commit"`
	} `json:"object_attributes"`
	ExternalApprovalRule struct{ ID int64 } `json:"external_approval_rule"`
	Mergegate            struct{ Test bool }
}

var (
	secret = os.Getenv("SHARED_SECRET")
	seen   sync.Map // Idempotency-Keys; a real service keeps them in a database
)

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// signed reports whether Mergegate signed the body and sent it recently.
func signed(header http.Header, body string) bool {
	id, timestamp := header.Get("Webhook-Id"), header.Get("Webhook-Timestamp")
	key := []byte(secret)
	if encoded, found := strings.CutPrefix(secret, "whsec_"); found { // notation of Standard Webhooks
		if k, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "=")); err == nil && len(k) > 0 {
			key = k
		}
	}
	standard := "v1," + base64.StdEncoding.EncodeToString(mac(key, id+"."+timestamp+"."+body))
	at, err := strconv.ParseInt(timestamp, 10, 64)
	return hmac.Equal([]byte(header.Get("X-Gitlab-Signature")), []byte(hex.EncodeToString(mac([]byte(secret), body)))) && hmac.Equal([]byte(header.Get("Webhook-Signature")), []byte(standard)) &&
		err == nil && time.Since(time.Unix(at, 0)).Abs() < 5*time.Minute
}

func receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	var p payload
	switch {
	case err != nil || !signed(r.Header, string(body)):
		http.Error(w, "bad signature", http.StatusUnauthorized)
	case json.Unmarshal(body, &p) != nil:
		http.Error(w, "not JSON", http.StatusBadRequest)
	default:
		if _, repeated := seen.LoadOrStore(r.Header.Get("Idempotency-Key"), true); repeated {
			return // 200: this delivery was received before
		}
		w.WriteHeader(http.StatusAccepted)
		if !p.Mergegate.Test && p.ObjectAttributes.State == "opened" {
			go answer(p) // respond at once and do the work in the background
		}
	}
}

func answer(p payload) {
	status, text := "passed", "The merge request has a description."
	if p.ObjectAttributes.Description == "" {
		status, text = "failed", "Please describe what changes and why."
	}
	body, _ := json.Marshal(map[string]any{"external_status_check_id": p.ExternalApprovalRule.ID,
		"sha": p.ObjectAttributes.LastCommit.ID, "status": status, "description": text})
	url := fmt.Sprintf("%s/api/v4/projects/%d/merge_requests/%d/status_check_responses", os.Getenv("MERGEGATE_URL"), p.Project.ID, p.ObjectAttributes.IID)
	req, _ := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	req.Header = http.Header{"Content-Type": {"application/json"}, "Private-Token": {os.Getenv("MERGEGATE_TOKEN")}}
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		log.Print("response not sent: ", err) // a real service tries again
		return
	}
	res.Body.Close()
	log.Print("response sent: ", res.Status) // 409: HEAD has changed, another payload follows
}

func main() {
	listener, err := net.Listen("tcp", os.Getenv("LISTEN"))
	if err != nil || secret == "" {
		log.Fatal("LISTEN or SHARED_SECRET is missing: ", err)
	}
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, http.HandlerFunc(receive)))
}
