package gallery

import (
	"bytes"
	"html/template"
	"net/http"

	"github.com/mergegate/mergegate/static"
	"github.com/mergegate/mergegate/views/text"
)

// policy is the Content-Security-Policy of Mergegate's pages.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Addresses that the widgets of some entries poll, to show how app.js handles a
// failing server, a reader without permission, and a server that does not answer.
const (
	unavailablePath = "/gallery/answers/unavailable"
	deniedPath      = "/gallery/answers/denied"
	silentPath      = "/gallery/answers/silent"
)

// index lists the entries.
var index = template.Must(template.New("index").Parse(`<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gallery · Mergegate</title><link rel="stylesheet" href="{{.Style}}">
<main class="container"><h1>Gallery</h1>
<p>Every screen and state. Add <code>?theme=dark</code> or <code>?lang=ja</code> to an address.</p>
<ul class="stack">{{range .Entries}}<li><a href="/gallery/{{.Name}}">{{.Name}}</a></li>{{end}}</ul></main></html>
`))

// Handler serves the entries at /gallery/<name>, with ?theme=light or dark and
// ?lang=en or ja, and a list of them at /. Other htmx requests are answered with
// 204, and forms redirect back to their page.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+static.Prefix, static.Handler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		var out bytes.Buffer
		if err := index.Execute(&out, map[string]any{"Entries": Entries(), "Style": static.URL("style.css")}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, out.Bytes())
	})
	for _, entry := range Entries() {
		mux.HandleFunc("GET /gallery/"+entry.Name, func(w http.ResponseWriter, r *http.Request) { entry.serve(w, r) })
	}
	mux.HandleFunc("GET "+unavailablePath, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "this address always fails", http.StatusServiceUnavailable)
	})
	mux.HandleFunc("GET "+deniedPath, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "this address is always forbidden", http.StatusForbidden)
	})
	mux.HandleFunc("GET "+silentPath, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("HX-Request") == "true" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		http.NotFound(w, r)
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.Referer(), http.StatusSeeOther)
	})
	return mux
}

func (e Entry) serve(w http.ResponseWriter, r *http.Request) {
	theme, language := r.FormValue("theme"), r.FormValue("lang")
	if theme != "light" && theme != "dark" {
		theme = ""
	}
	if language == "" {
		language = "en"
	}
	ctx := text.WithLanguage(r.Context(), language)
	var out bytes.Buffer
	if err := e.Component(ctx, theme).Render(ctx, &out); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, out.Bytes())
}

func answer(w http.ResponseWriter, html []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	_, _ = w.Write(html) // fails only if the client has disconnected
}
