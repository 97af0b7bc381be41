package models_test

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"gorm.io/gorm/schema"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// column is a column of a database.
type column struct {
	name     string
	nullable bool
}

const (
	sqliteColumns   = `SELECT m.name, c.name, c."notnull" = 0 AND c.pk = 0 FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'`
	postgresColumns = `SELECT table_name, column_name, is_nullable = 'YES' FROM information_schema.columns WHERE table_schema = 'public'`
)

// Every table has a struct and vice versa, column by column, on both databases.
// Nullable columns are pointers or []byte.
func TestSchema_MatchesStructs(t *testing.T) {
	entities := []any{
		models.User{}, models.Namespace{}, models.Session{}, models.RateCounter{}, models.Project{}, models.ProjectRedirect{}, models.Member{},
		models.AccessToken{}, models.ProtectedBranch{}, models.ExternalStatusCheck{}, models.ExternalStatusCheckBranch{}, models.MergeRequest{},
		models.Approval{}, models.Delivery{}, models.DeliveryAttempt{}, models.MergeRequestCheck{}, models.StatusCheckResponse{},
		models.PendingPush{}, models.MergeRequestStep{}, models.RepositoryRemoval{}, models.AuditEvent{}, models.ServiceQueue{},
		models.ArrivedDelivery{}, models.DeliveryLease{}, models.UserLink{},
	}
	want := map[string][]column{}
	for _, entity := range entities {
		parsed, err := schema.Parse(entity, &sync.Map{}, schema.NamingStrategy{})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range parsed.DBNames {
			field := parsed.FieldsByDBName[name]
			nullable := field.FieldType.Kind() == reflect.Pointer || field.FieldType == reflect.TypeFor[[]byte]()
			want[parsed.Table] = append(want[parsed.Table], column{name, nullable})
		}
	}
	// []byte that is never null.
	payload := slices.Index(want["deliveries"], column{"payload", true})
	want["deliveries"][payload].nullable = false
	// Unused since 0.2.0, which is not released yet.
	want["deliveries"] = append(want["deliveries"], column{"user_id", true}, column{"leased_until", true}, column{"queued", false})

	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		query := sqliteColumns
		if db.Driver == models.DriverPostgres {
			query = postgresColumns
		}
		rows, err := db.SQL(t).Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		got := map[string][]column{}
		for rows.Next() {
			var table string
			var c column
			if err := rows.Scan(&table, &c.name, &c.nullable); err != nil {
				t.Fatal(err)
			}
			if table != "goose_db_version" && table != "sqlite_sequence" && !strings.HasPrefix(table, "merge_request_texts") {
				got[table] = append(got[table], c)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		for table, columns := range want {
			for _, c := range columns {
				if !slices.Contains(got[table], c) {
					t.Errorf("%s has no column %+v", table, c)
				}
			}
		}
		for table, columns := range got {
			for _, c := range columns {
				if !slices.Contains(want[table], c) {
					t.Errorf("no struct has %s.%+v", table, c)
				}
			}
		}
	})
}
