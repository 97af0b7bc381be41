package apiv4_test

import (
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/handlers"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/webhook"
)

// The Python program in the form of a service receives a delivery and answers its check.
func TestReceiver_Python_AnswersDelivery(t *testing.T) {
	s := newSite(t, modelstest.SQLite(t))
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	address := listener.Addr().String()
	_ = listener.Close()
	_, port, _ := net.SplitHostPort(address)

	code := ""
	for _, r := range handlers.Receivers(server.URL, s.Project.ID) {
		if r.ID == "python" {
			code = strings.Replace(r.Code, `("", 8000)`, `("127.0.0.1", `+port+")", 1)
		}
	}
	file := filepath.Join(t.TempDir(), "receiver.py")
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	program := exec.CommandContext(t.Context(), "python3", file)
	program.Env = append(os.Environ(), "SECRET=hush-hush", "no_proxy=*")
	program.Stderr = t.Output()
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Process.Kill(); _ = program.Wait() })

	service := must(s.Store.CreateExternalStatusCheck(t.Context(), s.Owner, s.Project.ID, models.ExternalStatusCheckInput{
		Name: "python", ExternalURL: "http://" + address + "/", SharedSecret: "hush-hush",
	}, true))(t)
	sender := webhook.NewClient(webhook.Options{BaseURL: server.URL, Allow: must(webhook.ParseAllowList("127.0.0.1"))(t)})
	var result models.AttemptResult
	for _, c := range must(s.Store.Claim(t.Context(), models.ClaimOptions{Limit: 50}))(t) {
		if c.Delivery.ExternalStatusCheckID != service.ID {
			continue
		}
		c.Delivery.Payload = fmt.Appendf(nil, `{"object_attributes":{"iid":%d},"external_approval_rule":{"id":%d}}`, s.mr.IID, service.ID)
		for range 100 { // until the program listens
			if result = sender.Send(t.Context(), c, s.Clock.Now()); result.Error != webhook.ErrorConnectionRefused {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	// The program answers before it closes the connection.
	if got := s.Status(s.mr, service); got != models.StatusPassed || result.HTTPStatus != 202 {
		t.Errorf("status %s after %+v", got, result)
	}
}
