// Package check tests the Helm chart and the compose file. It is a module of its own, because Helm needs
// many modules that Mergegate does not.
package check

import (
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
)

const path = "../helm/mergegate"

type values = map[string]any

// render returns the objects that the chart makes with these values. Fields that
// Kubernetes does not know are errors.
func render(t *testing.T, set values) (objects []runtime.Object, err error) {
	t.Helper()
	chart, err := loader.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	input, err := chartutil.ToRenderValues(chart, set, chartutil.ReleaseOptions{Name: "pear", Namespace: "orchard"}, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(chart, input)
	if err != nil {
		return nil, err
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	for name, content := range files {
		if !strings.HasSuffix(name, ".yaml") || strings.TrimSpace(content) == "" {
			continue
		}
		object, _, err := decoder.Decode([]byte(content), nil, nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, content)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

func TestChart_Lint_HasNoErrors(t *testing.T) {
	for _, message := range lint.All(path, values{"baseURL": "https://git.example.com"}, "orchard", true).Messages {
		if message.Severity >= support.WarningSev {
			t.Error(message)
		}
	}
}

func TestChart_Values_RenderKnownObjects(t *testing.T) {
	const base = "https://git.example.com"
	for name, test := range map[string]struct {
		set     values
		objects int
		want    []string // in the YAML of the container
	}{
		"only the base URL": {values{"baseURL": base}, 3, nil},
		"everything": {values{
			"baseURL": base, "replicas": 3, "secret": values{"existing": "keys"}, "metrics": values{"enabled": true},
			"persistence":  values{"accessMode": "ReadWriteMany", "storageClass": "shared"},
			"ingress":      values{"enabled": true, "tlsSecret": "certificate"},
			"settings":     values{"MERGEGATE_MAX_PACK_BYTES": 1048576},
			"nodeSelector": values{"disk": "fast"}, "tolerations": []any{values{"key": "git", "operator": "Exists"}},
		}, 4, nil},
		"a claim that exists": {values{"baseURL": base, "persistence": values{"existingClaim": "mine"}}, 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := render(t, test.set)
			if err != nil {
				t.Fatal(err)
			}
			if len(objects) != test.objects {
				t.Errorf("%d objects, want %d", len(objects), test.objects)
			}
			deployments := 0
			for _, object := range objects {
				if deployment, ok := object.(*appsv1.Deployment); ok {
					deployments++
					checkDeployment(t, deployment, test.set)
				}
			}
			if deployments != 1 {
				t.Errorf("%d deployments", deployments)
			}
		})
	}
}

func checkDeployment(t *testing.T, deployment *appsv1.Deployment, set values) {
	t.Helper()
	pod := deployment.Spec.Template.Spec
	container := pod.Containers[0]
	if limits := container.SecurityContext; !*limits.ReadOnlyRootFilesystem || *limits.AllowPrivilegeEscalation || !*pod.SecurityContext.RunAsNonRoot {
		t.Errorf("the container may do too much: %v", limits)
	}
	environment := map[string]string{}
	for _, variable := range container.Env {
		if _, twice := environment[variable.Name]; twice {
			t.Errorf("%s is set twice", variable.Name)
		}
		environment[variable.Name] = variable.Value
	}
	if environment["MERGEGATE_BASE_URL"] != set["baseURL"] {
		t.Errorf("environment %v", environment)
	}
	if set["settings"] != nil && environment["MERGEGATE_MAX_PACK_BYTES"] != "1048576" {
		t.Errorf("a number is written as %q", environment["MERGEGATE_MAX_PACK_BYTES"])
	}
	_, credentials := environment["CREDENTIALS_DIRECTORY"]
	if credentials != (set["secret"] != nil) || len(container.VolumeMounts) != len(pod.Volumes) {
		t.Errorf("credentials %v, volumes %v", credentials, pod.Volumes)
	}
	recreate := deployment.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType
	if recreate != (set["replicas"] == nil) {
		t.Errorf("strategy %s with %v replicas", deployment.Spec.Strategy.Type, set["replicas"])
	}
}

func TestChart_WrongValues_AreRefused(t *testing.T) {
	const base = "https://git.example.com"
	for name, test := range map[string]struct {
		set  values
		want string
	}{
		"no base URL":          {nil, "baseURL"},
		"a base URL with path": {values{"baseURL": base + "/git"}, "baseURL"},
		"a misspelt value":     {values{"baseURL": base, "replica": 2}, "replica"},
		"a foreign setting":    {values{"baseURL": base, "settings": values{"HTTP_PROXY": "x"}}, "HTTP_PROXY"},
		"replicas on SQLite":   {values{"baseURL": base, "replicas": 2}, "set secret.existing"},
		"replicas without a shared volume": {
			values{"baseURL": base, "replicas": 2, "secret": values{"existing": "keys"}}, "ReadWriteMany",
		},
	} {
		if _, err := render(t, test.set); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
		}
	}
}
