package check

import (
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
)

// The compose file follows the specification, and each secret that a service uses
// as a file exists.
func TestCompose_IsValid(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{"../docker/compose.yaml"}, cli.WithName("mergegate"))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	service := project.Services["mergegate"]
	if len(service.HealthCheck.Test) == 0 || !service.ReadOnly || len(service.CapDrop) == 0 || service.StopGracePeriod == nil {
		t.Errorf("the service lacks a health check, a limit or time to stop: %+v", service)
	}
	files := map[string]bool{}
	for _, secret := range service.Secrets {
		files["/run/secrets/"+secret.Source] = true
	}
	for _, name := range []string{"MERGEGATE_DATABASE_URL_FILE", "MERGEGATE_SECRET_KEY_FILE"} {
		if path := service.Environment[name]; path == nil || !files[*path] {
			t.Errorf("%s is not the file of a secret", name)
		}
	}
	if service.DependsOn["database"].Condition != "service_healthy" {
		t.Error("the service does not wait for the database")
	}
}
