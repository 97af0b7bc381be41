package handlers

import (
	"embed"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/views"
)

//go:embed receivers
var receiverFiles embed.FS

// receiverLanguages are the programs in receivers, in the order of the form.
var receiverLanguages = []struct{ id, language, file string }{
	{"go", "Go", "receiver.go.txt"}, {"python", "Python", "receiver.py"}, {"node", "Node.js", "receiver.mjs"}, {"shell", "Shell", "receiver.sh"},
}

// receivers returns short programs that receive the deliveries of the project, check their
// signature and time, and answer with the callback token.
func (p *pages) receivers(c echo.Context) []views.Receiver {
	fill := strings.NewReplacer("__BASE_URL__", p.BaseURL, "__PROJECT_ID__", strconv.FormatInt(request.Project(c).ID, 10))
	receivers := make([]views.Receiver, 0, len(receiverLanguages))
	for _, r := range receiverLanguages {
		code, err := receiverFiles.ReadFile("receivers/" + r.file)
		if err != nil {
			panic(err) // impossible: the file is embedded
		}
		receivers = append(receivers, views.Receiver{ID: r.id, Language: r.language, Code: fill.Replace(string(code))})
	}
	return receivers
}
