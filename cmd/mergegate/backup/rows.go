package backup

import (
	"bufio"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mergegate/mergegate/migrations"
)

// dump writes the rows of a table: a line with the table and its columns, then a line
// with the values of each row. It returns the number of rows.
func dump(ctx context.Context, db querier, t table, w io.Writer) (n int64, err error) {
	compressed, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // fails only for an unknown level
	encoder := json.NewEncoder(compressed)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(t); err != nil {
		return 0, err
	}
	// The first column is the key: a row may refer to an earlier row of its table.
	statement := "SELECT " + t.names() + ` FROM "` + t.Name + `" ORDER BY 1`
	values := make([]any, len(t.Columns))
	into := make([]any, len(t.Columns))
	for i := range values {
		into[i] = &values[i]
	}
	err = query(ctx, db, statement, func(rows *sql.Rows) error {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, c := range t.Columns {
			var err error
			if values[i], err = encode(c.Type, values[i]); err != nil {
				return fmt.Errorf("column %s: %w", c.Name, err)
			}
		}
		n++
		return encoder.Encode(values)
	})
	if err != nil {
		return n, fmt.Errorf("read table %s: %w", t.Name, err)
	}
	return n, compressed.Close()
}

// encode returns the JSON value of a value that a database returned.
func encode(kind string, v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, float64:
		return v, nil
	case int64:
		if kind == typeBoolean {
			return v != 0, nil
		}
		return v, nil
	case string:
		if kind == typeBytes {
			return []byte(v), nil
		}
		return v, nil
	case []byte:
		if kind == typeText {
			return string(v), nil
		}
		return v, nil // in base64
	case time.Time:
		return v.UTC(), nil
	}
	return nil, fmt.Errorf("unexpected value of type %T", v)
}

// decode returns the value for a database of a JSON value.
func decode(kind string, raw json.RawMessage) (any, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	var err error
	switch kind {
	case typeInteger:
		var v int64
		err = json.Unmarshal(raw, &v)
		return v, err
	case typeReal:
		var v float64
		err = json.Unmarshal(raw, &v)
		return v, err
	case typeBoolean:
		var v bool
		err = json.Unmarshal(raw, &v)
		return v, err
	case typeText:
		var v string
		err = json.Unmarshal(raw, &v)
		return v, err
	case typeTime:
		var v time.Time
		err = json.Unmarshal(raw, &v)
		return v.UTC(), err
	case typeBytes:
		var v string
		if err = json.Unmarshal(raw, &v); err != nil {
			return nil, err
		}
		bytes, err := base64.StdEncoding.DecodeString(v)
		if bytes == nil {
			bytes = []byte{} // empty is not null
		}
		return bytes, err
	}
	return nil, fmt.Errorf("unknown type %q", kind)
}

// maxBatch is how many rows one statement inserts, maxParameters how many values.
const maxBatch, maxParameters = 200, 30_000

// load inserts the rows that dump wrote and returns their number.
func load(ctx context.Context, tx querier, d migrations.Dialect, r io.Reader) (name string, n int64, err error) {
	decompressed, err := gzip.NewReader(bufio.NewReaderSize(r, 1<<16))
	if err != nil {
		return "", 0, err
	}
	decoder := json.NewDecoder(decompressed)
	var t table
	if err := decoder.Decode(&t); err != nil {
		return "", 0, err
	}
	if len(t.Columns) == 0 {
		return t.Name, 0, errors.New("a table without columns")
	}
	batch := min(maxBatch, maxParameters/len(t.Columns))
	var values []any
	rows := 0
	flush := func() error {
		if rows == 0 {
			return nil
		}
		if _, err := tx.ExecContext(ctx, t.insert(d, rows), values...); err != nil {
			return fmt.Errorf("insert into %s: %w", t.Name, err)
		}
		n, rows, values = n+int64(rows), 0, values[:0]
		return nil
	}
	for decoder.More() {
		var raw []json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return t.Name, n, err
		}
		if len(raw) != len(t.Columns) {
			return t.Name, n, fmt.Errorf("a row of %s has %d values instead of %d", t.Name, len(raw), len(t.Columns))
		}
		for i, c := range t.Columns {
			v, err := decode(c.Type, raw[i])
			if err != nil {
				return t.Name, n, fmt.Errorf("column %s.%s: %w", t.Name, c.Name, err)
			}
			values = append(values, v)
		}
		if rows++; rows == batch {
			if err := flush(); err != nil {
				return t.Name, n, err
			}
		}
	}
	return t.Name, n, flush()
}

// insert returns the statement that inserts a number of rows.
func (t table) insert(d migrations.Dialect, rows int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `INSERT INTO "%s" (%s) VALUES `, t.Name, t.names())
	for row := range rows {
		b.WriteString([]string{"(", ", ("}[min(row, 1)])
		for i := range t.Columns {
			if i > 0 {
				b.WriteString(", ")
			}
			if d == migrations.Postgres {
				fmt.Fprintf(&b, "$%d", row*len(t.Columns)+i+1)
			} else {
				b.WriteByte('?')
			}
		}
		b.WriteByte(')')
	}
	return b.String()
}
