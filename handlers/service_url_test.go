package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// Only the settings of the services show the query string and user information
// of a URL.
func TestServiceURL_OutsideSettings_OmitsSecrets(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	const address = "https://ann:hunter2pear@licence.example.test/hook?token=tops3cret#frag"
	service, err := s.Store.CreateExternalStatusCheck(t.Context(), s.Owner, s.Project.ID, models.ExternalStatusCheckInput{Name: "licence", ExternalURL: address}, false)
	if err != nil {
		t.Fatal(err)
	}
	mr := s.openMergeRequest("topic")
	s.finishOnlyDelivery(http.StatusServiceUnavailable, "")
	moved := strings.Replace(address, "tops3cret", "tops3cret2", 1)
	if _, err := s.Store.UpdateExternalStatusCheck(t.Context(), s.Owner, s.Project.ID, service.ID, models.ExternalStatusCheckUpdate{ExternalURL: &moved}, false); err != nil {
		t.Fatal(err)
	}
	deliveries := s.Deliveries(service)
	v := s.as(s.Owner)
	for _, path := range []string{
		servicePath(service), servicePath(service) + "/deliveries/" + itoa(deliveries[0].ID), pearRulesPath,
		pearAuditPath, pearAuditPath + ".csv", s.mrPath(mr, ""), pearPath, servicePath(service) + "/remove",
	} {
		a := v.get(path).wantStatus(http.StatusOK)
		for _, secret := range []string{"hunter2pear", "tops3cret", "ann:"} {
			if strings.Contains(a.body, secret) {
				t.Errorf("%s shows %q", path, secret)
			}
		}
	}
	if !strings.Contains(v.get(servicePath(service)).body, "https://licence.example.test/hook") {
		t.Error("the page of the service does not show its URL")
	}
	if !strings.Contains(v.get(pearSettingsPath).body, "tops3cret2") || !strings.Contains(v.get(servicePath(service)+"/edit").body, "tops3cret2") {
		t.Error("the settings do not show the whole URL")
	}
}
