package models

import (
	"time"
	"unicode/utf8"
)

// Project is a git repository with its merge requests, services and members. The
// repository on disk is named by ID, so renaming the project does not move it.
type Project struct {
	ID                                    int64
	NamespaceID                           int64
	Namespace                             Namespace
	Name                                  string
	Path                                  string
	PathKey                               string
	Description                           string
	Visibility                            Visibility
	DefaultBranch                         string
	OnlyAllowMergeIfAllStatusChecksPassed bool
	LastMergeRequestIID                   int64 `gorm:"column:last_merge_request_iid"`
	CreatorID                             *int64
	CreatedAt                             time.Time
	UpdatedAt                             time.Time
	LastActivityAt                        time.Time
}

// FullPath returns namespace/path. Namespace must be loaded, as every query of this
// package does.
func (p Project) FullPath() string { return p.Namespace.Path + "/" + p.Path }

// ProjectRedirect keeps the former path of a renamed project until another project
// takes it.
type ProjectRedirect struct {
	ID          int64
	ProjectID   int64
	NamespaceID int64
	PathKey     string
	CreatedAt   time.Time
}

// ProjectInput creates a project.
type ProjectInput struct {
	NamespaceID   int64
	Name          string
	Path          string
	Description   string
	Visibility    Visibility
	DefaultBranch string
	// OnlyAllowMergeIfAllStatusChecksPassed is "Status checks must succeed".
	OnlyAllowMergeIfAllStatusChecksPassed bool
}

// ProjectUpdate changes a project. Nil leaves a field unchanged.
type ProjectUpdate struct {
	Name                                  *string
	Path                                  *string
	Description                           *string
	Visibility                            *Visibility
	DefaultBranch                         *string
	OnlyAllowMergeIfAllStatusChecksPassed *bool
	// BasicsVersion and IdentityVersion are the project's versions that the form
	// showed; "" disables the check for concurrent edits.
	BasicsVersion   string
	IdentityVersion string
}

// edited returns the project after the update, as far as its versions depend on it.
func (in ProjectUpdate) edited(p Project) Project {
	for to, from := range map[*string]*string{&p.Name: in.Name, &p.Path: in.Path, &p.Description: in.Description, &p.DefaultBranch: in.DefaultBranch} {
		if from != nil {
			*to = *from
		}
	}
	if in.Visibility != nil {
		p.Visibility = *in.Visibility
	}
	return p
}

// MaxDescriptionLength is the longest description of a project, in characters.
const MaxDescriptionLength = 2000

// Validate normalises the input and returns its field errors: name, path, description,
// visibility, default_branch. As in GitLab, an empty name is derived from the path and
// an empty path from the name.
func (in *ProjectInput) Validate() error {
	var f fieldErrors
	in.Name = cleanName(in.Name)
	if in.Name == "" {
		in.Name = in.Path
	}
	if in.Path == "" {
		in.Path = pathFromName(in.Name)
	}
	if in.DefaultBranch == "" {
		in.DefaultBranch = "main"
	}
	checkName(&f, "name", in.Name)
	if !f.has("name") || in.Path != "" {
		checkProjectPath(&f, in.Path)
	}
	checkDescription(&f, in.Description)
	if !in.Visibility.known() {
		f.add("visibility", CodeInvalid)
	}
	if !validNewBranchName(in.DefaultBranch) {
		f.add("default_branch", CodeInvalid)
	}
	return f.err()
}

// Validate normalises the update and returns its field errors, as for ProjectInput.
func (in *ProjectUpdate) Validate() error {
	var f fieldErrors
	if in.Name != nil {
		name := cleanName(*in.Name)
		in.Name = &name
		checkName(&f, "name", name)
	}
	if in.Path != nil {
		checkProjectPath(&f, *in.Path)
	}
	if in.Description != nil {
		checkDescription(&f, *in.Description)
	}
	if in.Visibility != nil && !in.Visibility.known() {
		f.add("visibility", CodeInvalid)
	}
	if in.DefaultBranch != nil && !ValidBranchName(*in.DefaultBranch) {
		f.add("default_branch", CodeInvalid)
	}
	return f.err()
}

func checkDescription(f *fieldErrors, text string) {
	if !validText(text) {
		f.add("description", CodeInvalid)
	} else if utf8.RuneCountInString(text) > MaxDescriptionLength {
		f.add("description", CodeTooLong, "max", "2000")
	}
}

func checkProjectPath(f *fieldErrors, path string) {
	checkPath(f, "path", path)
	if path == "-" {
		f.add("path", CodeReserved)
	}
}

// pathFromName derives a path segment from a name. It replaces each run of other
// characters by a dash.
func pathFromName(name string) string {
	var out []rune
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_':
			out = append(out, r)
		case r >= 'A' && r <= 'Z':
			out = append(out, r-'A'+'a')
		case len(out) > 0 && out[len(out)-1] != '-':
			out = append(out, '-')
		}
	}
	for len(out) > 0 && out[len(out)-1] == '-' {
		out = out[:len(out)-1]
	}
	return string(out)
}
