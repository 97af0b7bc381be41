package backup

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mergegate/mergegate/models/modelstest"
)

func TestMain(m *testing.M) { os.Exit(modelstest.Main(m)) }

// A backup moves between the databases only if they have the same tables, columns and
// types.
func TestTables_SameOnBothDatabases(t *testing.T) {
	var found [][]table
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		all, err := tables(t.Context(), db.SQL(t), db.Dialect())
		if err != nil {
			t.Fatal(err)
		}
		for i, one := range all {
			for _, to := range one.refers {
				if !slices.ContainsFunc(all[:i], func(earlier table) bool { return earlier.Name == to }) {
					t.Errorf("%s comes before %s, to which it refers", one.Name, to)
				}
			}
		}
		slices.SortFunc(all, func(a, b table) int { return strings.Compare(a.Name, b.Name) })
		found = append(found, all)
	})
	if len(found) == 2 {
		if diff := cmp.Diff(found[0], found[1], cmp.AllowUnexported(table{}), cmpopts.IgnoreFields(table{}, "refers")); diff != "" {
			t.Errorf("SQLite and PostgreSQL differ (-sqlite +postgres):\n%s", diff)
		}
	}
}

func TestDecode_RestoresEncodedValues(t *testing.T) {
	for kind, values := range map[string][]any{
		typeInteger: {int64(0), int64(9007199254740993), int64(-1), nil},
		typeBoolean: {true, false, nil},
		typeText:    {"", "a\n<&>\u2028日本", nil},
		typeBytes:   {[]byte{}, []byte{0, 255, 10}, nil},
		typeReal:    {1.5, nil},
	} {
		for _, want := range values {
			encoded, err := encode(kind, want)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(encoded)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := decode(kind, raw); err != nil || !cmp.Equal(got, want) {
				t.Errorf("%s %v became %v, %v", kind, want, got, err)
			}
		}
	}
	if got, err := encode(typeBoolean, int64(1)); err != nil || got != true {
		t.Errorf("a boolean of SQLite: %v, %v", got, err)
	}
}
