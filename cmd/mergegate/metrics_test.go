package main

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/mergegate/mergegate/models/modelstest"
)

// scrape reads the metrics of a program by name.
func scrape(t *testing.T, url string) map[string]*dto.MetricFamily {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %v", resp.StatusCode, err)
	}
	return families
}

// value returns the value of a counter or gauge, or the count of a histogram, with this
// value of a label. It is 0 without a sample.
func value(family *dto.MetricFamily, label string) float64 {
	for _, m := range family.GetMetric() {
		matches := func(l *dto.LabelPair) bool { return l.GetValue() == label }
		if label == "" || slices.ContainsFunc(m.GetLabel(), matches) {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return 0
}

// A push, its delivery and its answer appear in the metrics, the documentation lists all
// metrics, and alerts and dashboard use existing ones.
func TestMetrics_PushDeliveryAnswer(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		address, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, db, "MERGEGATE_METRICS_LISTEN="+address)
		w.await("the event", func() bool { return len(w.service.got("open")) == 1 })
		if status, body := w.respond(w.head, "passed"); status != 201 {
			t.Fatalf("the answer: %d %s", status, body)
		}
		var families map[string]*dto.MetricFamily
		for name, label := range map[string]string{
			"mergegate_delivery_attempts_total": "delivered", "mergegate_delivery_first_byte_seconds": "",
			"mergegate_answers_total": "passed", "mergegate_answer_seconds": "", "mergegate_git_command_duration_seconds": "receive-pack",
			"mergegate_http_requests_total": "/:namespace/:project/git-receive-pack", "mergegate_job_runs_total": "recover pushes",
			"mergegate_database_up": "",
		} {
			// A request is measured after its answer is sent.
			w.await(name+" with "+label, func() bool {
				families = scrape(t, "http://"+address+"/metrics")
				return value(families[name], label) >= 1
			})
		}
		assertDocumented(t, families)
		assertQueries(t, families)
	})
}

var metricRow = regexp.MustCompile("(?m)^\\| `(mergegate_[a-z_]+)` \\| ([a-z]+) \\| ([a-z, ]*?) ?\\| (?:instance|database) \\| .+ \\|$")

// assertDocumented compares our metrics with the table in the documentation.
func assertDocumented(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	documented, real := map[string]string{}, map[string]string{}
	for _, row := range metricRow.FindAllStringSubmatch(readFile(t, "../../docs/observability.md"), -1) {
		documented[row[1]] = row[2] + " " + strings.ReplaceAll(row[3], ", ", " ")
	}
	for name, family := range families {
		if !strings.HasPrefix(name, "mergegate_") {
			continue
		}
		var labels []string
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		real[name] = strings.ToLower(family.GetType().String()) + " " + strings.Join(labels, " ")
	}
	if diff := cmp.Diff(real, documented); diff != "" {
		t.Errorf("/metrics (-) and docs/observability.md (+) differ:\n%s", diff)
	}
}

var (
	metricName = regexp.MustCompile(`\b(?:mergegate|go|process)_[a-z0-9_]+(?:\{[^}]*\})?`)
	labelName  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	alertRule  = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
)

// assertQueries checks that the metrics and labels exist that the queries of the alert
// rules and of the dashboard name.
func assertQueries(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	used := 0
	for _, query := range queries(t) {
		for _, selector := range metricName.FindAllString(query, -1) {
			used++
			name, labels, _ := strings.Cut(selector, "{")
			family := families[name]
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				base, ok := strings.CutSuffix(name, suffix)
				if ok && family == nil && families[base].GetType() == dto.MetricType_HISTOGRAM {
					family = families[base]
				}
			}
			if family == nil {
				t.Errorf("%s is not in /metrics; query %s", name, query)
				continue
			}
			for _, label := range labelName.FindAllStringSubmatch(labels, -1) {
				has := slices.ContainsFunc(family.GetMetric()[0].GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == label[1] })
				if !has && label[1] != "job" && label[1] != "instance" { // labels of Prometheus itself
					t.Errorf("%s has no label %s; query %s", name, label[1], query)
				}
			}
		}
	}
	if used < 60 {
		t.Errorf("found only %d metrics in the queries", used)
	}
}

// queries returns the queries of the alert rules and of the dashboard.
func queries(t *testing.T) []string {
	t.Helper()
	var list []string
	rule := regexp.MustCompile(`(?s) expr: (.*?)\n +(?:for|labels): `)
	for _, match := range rule.FindAllStringSubmatch(readFile(t, "../../deploy/prometheus/alerts.yaml"), -1) {
		list = append(list, match[1])
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal([]byte(readFile(t, "../../deploy/grafana/mergegate.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			list = append(list, target.Expr)
		}
	}
	return list
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every alert has a unit test in which it fires, and a row in the documentation.
func TestAlerts_AreTestedAndDocumented(t *testing.T) {
	t.Parallel()
	rules, tests := readFile(t, "../../deploy/prometheus/alerts.yaml"), readFile(t, "../../deploy/prometheus/alerts_test.yaml")
	var alerts, documented []string
	for _, rule := range alertRule.FindAllStringSubmatch(rules, -1) {
		alerts = append(alerts, rule[1])
		if !strings.Contains(tests, "alertname: "+rule[1]+"\n        exp_alerts:\n          - exp_labels:") {
			t.Errorf("%s does not fire in alerts_test.yaml", rule[1])
		}
	}
	row := regexp.MustCompile("(?m)^\\| `(Mergegate\\w+)` \\| (?:critical|warning) \\| .+ \\| .+ \\|$")
	for _, match := range row.FindAllStringSubmatch(readFile(t, "../../docs/observability.md"), -1) {
		documented = append(documented, match[1])
	}
	if diff := cmp.Diff(alerts, documented); diff != "" || len(alerts) == 0 {
		t.Errorf("alerts.yaml (-) and docs/observability.md (+) differ:\n%s", diff)
	}
}
