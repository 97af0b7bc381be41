package handlers

import (
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
	"github.com/mergegate/mergegate/webhook"
)

// deliveryErrors are the texts for the kinds of delivery errors. ErrorOther is the default.
var deliveryErrors = map[string]text.Key{
	webhook.ErrorTimeout:           text.KeyChecksErrorTimeout,
	webhook.ErrorConnectionRefused: text.KeyChecksErrorConnectionRefused,
	webhook.ErrorDNS:               text.KeyChecksErrorDNS,
	webhook.ErrorTLS:               text.KeyChecksErrorTLS,
	webhook.ErrorRedirect:          text.KeyChecksErrorRedirect,
	webhook.ErrorRefusedAddress:    text.KeyChecksErrorRefusedAddress,
	webhook.ErrorInvalidURL:        text.KeyChecksErrorInvalidURL,
	webhook.ErrorInvalidAnswer:     text.KeyChecksErrorInvalidAnswer,
	webhook.ErrorOther:             text.KeyChecksErrorOther,
	models.ErrorInterrupted:        text.KeyChecksErrorInterrupted,
	models.ErrorGone:               text.KeyChecksErrorGone,
	models.ErrorSecret:             text.KeyChecksErrorSecret,
}

// failureDetails maps the English sentences that the delivery log stores to translated texts.
var failureDetails = map[string]text.Key{
	webhook.DetailURL:           text.KeyChecksDetailURL,
	webhook.DetailStopped:       text.KeyChecksDetailStopped,
	webhook.DetailAddress:       text.KeyChecksDetailAddress,
	webhook.DetailNoHost:        text.KeyChecksDetailNoHost,
	webhook.DetailDNS:           text.KeyChecksDetailDNS,
	webhook.DetailRefused:       text.KeyChecksDetailRefused,
	webhook.DetailPlainHTTP:     text.KeyChecksDetailPlainHTTP,
	webhook.DetailTimeout:       text.KeyChecksDetailTimeout,
	webhook.DetailReset:         text.KeyChecksDetailReset,
	webhook.DetailUnreachable:   text.KeyChecksDetailUnreachable,
	webhook.DetailClosed:        text.KeyChecksDetailClosed,
	webhook.DetailInformational: text.KeyChecksDetailInformational,
	webhook.DetailStatus:        text.KeyChecksDetailStatus,
	webhook.DetailNotSuccess:    text.KeyChecksDetailNotSuccess,
	webhook.DetailRedirect:      text.KeyChecksDetailRedirect,
	models.DetailSecret:         text.KeyChecksDetailSecret,
}

// failureDetail translates a stored detail. Technical details stay as they are.
func failureDetail(c echo.Context, detail string) string {
	if key, known := failureDetails[detail]; known {
		return translate(c, key)
	}
	before, after, _ := strings.Cut(webhook.DetailRedirectTo, "%s")
	if rest, begins := strings.CutPrefix(detail, before); begins {
		if address, ends := strings.CutSuffix(rest, after); ends {
			return translate(c, text.KeyChecksDetailRedirectTo, "Address", address)
		}
	}
	return detail
}

// answerOutcome returns the result of an attempt: the HTTP status if there was a response,
// otherwise the failure.
func answerOutcome(c echo.Context, httpStatus int, failure string) views.Outcome {
	switch {
	case httpStatus != 0:
		kind := "danger"
		if httpStatus >= 200 && httpStatus <= 299 && failure == "" {
			kind = "success"
		}
		return views.Outcome{Kind: kind, Text: translate(c, text.KeyChecksHTTPStatus, "Status", httpStatus)}
	case failure != "":
		key, ok := deliveryErrors[failure]
		if !ok {
			key = text.KeyChecksErrorOther
		}
		return views.Outcome{Kind: "danger", Text: translate(c, key)}
	}
	return views.Outcome{}
}
