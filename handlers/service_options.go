package handlers

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// timeoutUnits maps the units of a typed time-out to seconds, in English and Japanese.
var timeoutUnits = map[string]int64{
	"s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1, "秒": 1, "秒間": 1,
	"m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60, "分": 60, "分間": 60,
	"h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600, "時間": 3600,
	"d": 86400, "day": 86400, "days": 86400, "日": 86400, "日間": 86400,
}

// parseTimeout reads a time-out such as "90 seconds" or "1 h 30 min" and returns it in
// seconds. The result is -1, which is out of range, for any other text.
func parseTimeout(typed string) *int64 {
	var total int64
	wrong := int64(-1)
	rest := strings.ToLower(strings.TrimSpace(typed))
	if rest == "" || len(rest) > 100 {
		return &wrong
	}
	for rest != "" {
		unitAt := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if unitAt <= 0 {
			return &wrong
		}
		number, err := strconv.ParseInt(rest[:unitAt], 10, 32)
		rest = strings.TrimLeftFunc(rest[unitAt:], unicode.IsSpace)
		end := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsLetter(r) })
		if end < 0 {
			end = len(rest)
		}
		seconds, known := timeoutUnits[rest[:end]]
		if err != nil || !known {
			return &wrong
		}
		total += number * seconds
		rest = strings.TrimLeftFunc(rest[end:], func(r rune) bool { return unicode.IsSpace(r) || r == ',' || r == '、' })
	}
	return &total
}

// timeoutText formats a time-out so that parseTimeout can read it.
func timeoutText(c echo.Context, d time.Duration) string {
	return views.LimitText(c.Request().Context(), d)
}

// readCustomHeaders reads the rows of custom headers. Empty rows are left out.
func readCustomHeaders(form url.Values) []models.CustomHeaderInput {
	headers, values := []models.CustomHeaderInput{}, form["header_value"]
	for i, name := range form["header_name"] {
		header := models.CustomHeaderInput{Name: strings.TrimSpace(name)}
		if i < len(values) {
			header.Value = values[i]
		}
		if header.Name != "" || strings.TrimSpace(header.Value) != "" {
			headers = append(headers, header)
		}
	}
	return headers
}

// headerRows returns the rows of custom headers for the form, without values.
func headerRows(service models.ExternalStatusCheck, fields serviceFields) []views.HeaderRow {
	rows := make([]views.HeaderRow, 0, len(fields.CustomHeaders))
	for _, h := range fields.CustomHeaders {
		row := views.HeaderRow{Name: strings.ToValidUTF8(h.Name, "\uFFFD")}
		for _, stored := range service.CustomHeaderNames() {
			row.Stored = row.Stored || strings.EqualFold(stored, h.Name)
		}
		rows = append(rows, row)
	}
	return rows
}

// changedOptions lists the time-out, informational and custom headers whose stored value
// differs from the submitted one.
func changedOptions(c echo.Context, service models.ExternalStatusCheck, fields serviceFields) []views.CurrentValue {
	var changed []views.CurrentValue
	if fields.TimeoutSeconds != nil && *fields.TimeoutSeconds != int64(service.TimeoutSeconds) {
		changed = append(changed, views.CurrentValue{Label: text.KeyChecksTimeout, Text: timeoutText(c, service.Timeout())})
	}
	if fields.Informational != service.Informational {
		changed = append(changed, views.CurrentValue{Label: text.KeyChecksInformational, Text: switchText(c, service.Informational)})
	}
	if fields.CallbackOnly != service.CallbackOnly {
		changed = append(changed, views.CurrentValue{Label: text.KeyChecksCallbackOnly, Text: switchText(c, service.CallbackOnly)})
	}
	var typed []string
	for _, h := range fields.CustomHeaders {
		typed = append(typed, h.Name)
	}
	if stored := service.CustomHeaderNames(); strings.Join(stored, "\n") != strings.Join(typed, "\n") {
		names := strings.Join(stored, translate(c, text.KeyMRListSeparator))
		changed = append(changed, views.CurrentValue{Label: text.KeyChecksHeaders, Text: names})
	}
	return changed
}
