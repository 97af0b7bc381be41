package models

import (
	"encoding/hex"
	"encoding/json"
	"strings"
)

// jsonTime is the format of times in parameters that are JSON. SQLite stores the text, so it
// is that of its driver.
const jsonTime = "2006-01-02 15:04:05.999999999-07:00"

// attemptRow is a DeliveryAttempt in the parameter of logAttempts.
type attemptRow struct {
	DeliveryID        int64   `json:"delivery_id"`
	Number            int     `json:"number"`
	StartedAt         string  `json:"started_at"`
	DurationMS        int64   `json:"duration_ms"`
	HTTPStatus        int     `json:"http_status"`
	Error             string  `json:"error"`
	ErrorDetail       string  `json:"error_detail"`
	RequestHeader     string  `json:"request_header"`
	ResponseHeader    string  `json:"response_header"`
	ResponseBody      *string `json:"response_body"` // hexadecimal
	ResponseTruncated bool    `json:"response_truncated"`
	DNSUS             int64   `json:"dns_us"`
	ConnectUS         int64   `json:"connect_us"`
	TLSUS             int64   `json:"tls_us"`
	FirstByteUS       int64   `json:"first_byte_us"`
}

// attemptColumns are the columns of attemptRow with their types on PostgreSQL.
var attemptColumns = []struct{ name, kind string }{
	{"delivery_id", "bigint"}, {"number", "integer"}, {"started_at", "timestamptz"}, {"duration_ms", "bigint"},
	{"http_status", "integer"}, {"error", "text"}, {"error_detail", "text"}, {"request_header", "text"}, {"response_header", "text"},
	{"response_body", "text"}, {"response_truncated", "boolean"},
	{"dns_us", "bigint"}, {"connect_us", "bigint"}, {"tls_us", "bigint"}, {"first_byte_us", "bigint"},
}

// row returns the attempt as a row of the parameter of logAttempts.
func (a DeliveryAttempt) row() (attemptRow, error) {
	request, err := json.Marshal(a.RequestHeader)
	if err != nil {
		return attemptRow{}, err
	}
	response, err := json.Marshal(a.ResponseHeader)
	if err != nil {
		return attemptRow{}, err
	}
	row := attemptRow{
		DeliveryID: a.DeliveryID, Number: a.Number, StartedAt: a.StartedAt.Format(jsonTime), DurationMS: a.DurationMS,
		HTTPStatus: a.HTTPStatus, Error: a.Error, ErrorDetail: a.ErrorDetail,
		RequestHeader: string(request), ResponseHeader: string(response), ResponseTruncated: a.ResponseTruncated,
		DNSUS: a.DNSUS, ConnectUS: a.ConnectUS, TLSUS: a.TLSUS, FirstByteUS: a.FirstByteUS,
	}
	if a.ResponseBody != nil {
		body := hex.EncodeToString(a.ResponseBody)
		row.ResponseBody = &body
	}
	return row, nil
}

// logAttempts stores attempts that are not in the log yet. The text of its statement is the
// same for any number of them, so it stays prepared.
func (b *batch) logAttempts(attempts []DeliveryAttempt) error {
	rows := make([]attemptRow, len(attempts))
	for i, a := range attempts {
		var err error
		if rows[i], err = a.row(); err != nil {
			return err
		}
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	names, values, typed := make([]string, len(attemptColumns)), make([]string, len(attemptColumns)), make([]string, len(attemptColumns))
	for i, c := range attemptColumns {
		names[i], values[i], typed[i] = c.name, "r."+c.name, c.name+" "+c.kind
		if !b.postgres() {
			values[i] = "r.value->>'" + c.name + "'"
		}
		switch {
		case c.name != "response_body":
		case b.postgres():
			values[i] = "decode(" + values[i] + ", 'hex')"
		default:
			values[i] = "unhex(" + values[i] + ")"
		}
	}
	from := "json_each(?) AS r WHERE TRUE" // without WHERE, SQLite takes ON for a join's
	if b.postgres() {
		from = "json_to_recordset(CAST(? AS json)) AS r(" + strings.Join(typed, ", ") + ")"
	}
	b.exec("INSERT INTO delivery_attempts ("+strings.Join(names, ", ")+") SELECT "+strings.Join(values, ", ")+
		" FROM "+from+" ON CONFLICT DO NOTHING", string(list))
	return nil
}
