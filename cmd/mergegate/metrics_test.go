package main

import (
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
// value of a label. It is 0 if there is none.
func value(family *dto.MetricFamily, label string) float64 {
	for _, m := range family.GetMetric() {
		matches := func(l *dto.LabelPair) bool { return l.GetValue() == label }
		if label == "" || slices.ContainsFunc(m.GetLabel(), matches) {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return 0
}

// A push, its delivery and its answer appear in the metrics, and the documentation lists
// all metrics.
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
			"mergegate_answers_total": "passed", "mergegate_answer_seconds": "", "mergegate_git_commands_total": "receive-pack",
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
	})
}

var metricRow = regexp.MustCompile("(?m)^\\| `(mergegate_[a-z_]+)` \\| ([a-z]+) \\| ([a-z, ]*?) ?\\| (?:instance|database) \\| .+ \\|$")

// assertDocumented compares our metrics with the table in the documentation.
func assertDocumented(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	text, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	documented, real := map[string]string{}, map[string]string{}
	for _, row := range metricRow.FindAllStringSubmatch(string(text), -1) {
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
