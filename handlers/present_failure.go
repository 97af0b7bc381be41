package handlers

import (
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/webhook"
)

// deliveryErrors words the kinds of failure of an attempt. ErrorOther stands
// for those that are not listed.
var deliveryErrors = map[string]views.Key{
	webhook.ErrorTimeout:           views.KeyChecksErrorTimeout,
	webhook.ErrorConnectionRefused: views.KeyChecksErrorConnectionRefused,
	webhook.ErrorDNS:               views.KeyChecksErrorDNS,
	webhook.ErrorTLS:               views.KeyChecksErrorTLS,
	webhook.ErrorRedirect:          views.KeyChecksErrorRedirect,
	webhook.ErrorRefusedAddress:    views.KeyChecksErrorRefusedAddress,
	webhook.ErrorInvalidURL:        views.KeyChecksErrorInvalidURL,
	webhook.ErrorInvalidAnswer:     views.KeyChecksErrorInvalidAnswer,
	webhook.ErrorOther:             views.KeyChecksErrorOther,
	models.ErrorInterrupted:        views.KeyChecksErrorInterrupted,
	models.ErrorGone:               views.KeyChecksErrorGone,
	models.ErrorSecret:             views.KeyChecksErrorSecret,
}

// failureDetails are the sentences about a failure that the log of deliveries
// keeps, in English; here they find those of every language.
var failureDetails = map[string]views.Key{
	webhook.DetailURL:           views.KeyChecksDetailURL,
	webhook.DetailStopped:       views.KeyChecksDetailStopped,
	webhook.DetailAddress:       views.KeyChecksDetailAddress,
	webhook.DetailNoHost:        views.KeyChecksDetailNoHost,
	webhook.DetailDNS:           views.KeyChecksDetailDNS,
	webhook.DetailRefused:       views.KeyChecksDetailRefused,
	webhook.DetailPlainHTTP:     views.KeyChecksDetailPlainHTTP,
	webhook.DetailTimeout:       views.KeyChecksDetailTimeout,
	webhook.DetailReset:         views.KeyChecksDetailReset,
	webhook.DetailUnreachable:   views.KeyChecksDetailUnreachable,
	webhook.DetailClosed:        views.KeyChecksDetailClosed,
	webhook.DetailInformational: views.KeyChecksDetailInformational,
	webhook.DetailStatus:        views.KeyChecksDetailStatus,
	webhook.DetailNotSuccess:    views.KeyChecksDetailNotSuccess,
	webhook.DetailRedirect:      views.KeyChecksDetailRedirect,
	models.DetailSecret:         views.KeyChecksDetailSecret,
}

// failureDetail words what the log keeps about a failure. What is technical
// stays as it is.
func failureDetail(c echo.Context, detail string) string {
	if key, known := failureDetails[detail]; known {
		return text(c, key)
	}
	before, after, _ := strings.Cut(webhook.DetailRedirectTo, "%s")
	if rest, begins := strings.CutPrefix(detail, before); begins {
		if address, ends := strings.CutSuffix(rest, after); ends {
			return text(c, views.KeyChecksDetailRedirectTo, "Address", address)
		}
	}
	return detail
}

// answerOutcome is how one attempt ended: the HTTP status where an answer
// came, the failure otherwise.
func answerOutcome(c echo.Context, httpStatus int, failure string) views.Outcome {
	switch {
	case httpStatus != 0:
		kind := "danger"
		if httpStatus >= 200 && httpStatus <= 299 && failure == "" {
			kind = "success"
		}
		return views.Outcome{Kind: kind, Text: text(c, views.KeyChecksHTTPStatus, "Status", httpStatus)}
	case failure != "":
		key, ok := deliveryErrors[failure]
		if !ok {
			key = views.KeyChecksErrorOther
		}
		return views.Outcome{Kind: "danger", Text: text(c, key)}
	}
	return views.Outcome{}
}
