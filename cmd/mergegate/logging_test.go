package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/mergegate/mergegate/models"
)

func TestContextHandler_AddsIDs(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(contextHandler{slog.NewTextHandler(&out, nil)}).With("part", "test")
	ctx := models.WithRequestID(t.Context(), "req_1")
	log.InfoContext(ctx, "untraced")
	log.InfoContext(trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0xab}, SpanID: trace.SpanID{0xcd},
	})), "traced")
	log.Info("outside")
	for _, want := range []string{
		"msg=untraced part=test request_id=req_1\n",
		"msg=traced part=test request_id=req_1 trace_id=ab000000000000000000000000000000 span_id=cd00000000000000\n",
		"msg=outside part=test\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
}

// Log calls of requests and jobs pass their context, which has the request id.
func TestLogs_HaveContext(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../../handlers/*.go", "../../handlers/*/*.go", "../../jobs/*.go"} {
		list, err := filepath.Glob(pattern)
		if err != nil || len(list) == 0 {
			t.Fatalf("%s: found %d files, error %v", pattern, len(list), err)
		}
		files = append(files, list...)
	}
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		source, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(source, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			logger, ok := call.X.(*ast.SelectorExpr)
			if !ok || !strings.EqualFold(logger.Sel.Name, "log") {
				return true
			}
			found++
			if slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, call.Sel.Name) {
				t.Errorf("%s: use %sContext", set.Position(call.Pos()), call.Sel.Name)
			}
			return true
		})
	}
	if found < 20 {
		t.Errorf("found only %d log calls", found)
	}
}
