package apiv4

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

// refSHA returns the commit that the parameter ref names. Without ref, and for
// HEAD, it is the default branch.
func (c *call) refSHA(ref *string, what string) (name, sha string, err error) {
	name = orEmpty(ref)
	if name == "" || name == "HEAD" {
		name = c.access.Project.DefaultBranch
	}
	sha, err = c.resolve(name, what)
	return name, sha, err
}

type treeEntity struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
	Path string `json:"path"`
	Mode string `json:"mode"`
}

func listTree(c *call) error {
	folder, ref, recursive, page := c.text("path"), c.text("ref"), c.boolean("recursive"), c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	_, sha, err := c.refSHA(ref, "Tree")
	if err != nil {
		return err
	}
	base := strings.Trim(orEmpty(folder), "/")
	entries, _, err := c.git().TreeEntries(c.ctx(), sha, base, isTrue(recursive))
	if errors.Is(err, gitrepo.ErrNotFound) {
		return notFound("Tree")
	}
	if err != nil {
		return err
	}
	show := func(e gitrepo.TreeEntry) treeEntity {
		return treeEntity{ID: e.SHA, Name: path.Base(e.Name), Type: e.Kind, Path: path.Join(base, e.Name), Mode: e.Mode}
	}
	return replyList(c, page, mapSlice(pageOf(entries, page), show), int64(len(entries)))
}

type fileEntity struct {
	FileName        string `json:"file_name"`
	FilePath        string `json:"file_path"`
	Size            int64  `json:"size"`
	Encoding        string `json:"encoding"`
	Content         string `json:"content"`
	ContentSHA256   string `json:"content_sha256"`
	Ref             string `json:"ref"`
	BlobID          string `json:"blob_id"`
	CommitID        string `json:"commit_id"`
	LastCommitID    string `json:"last_commit_id"`
	ExecuteFilemode bool   `json:"execute_filemode"`
}

// maxFileEntity is the largest file in a JSON answer, in bytes. Larger files can be
// read raw.
const maxFileEntity = 10 << 20

// fileInPath finds the file that :file_path and ref name.
func (c *call) fileInPath() (file gitrepo.TreeEntry, ref, sha string, err error) {
	name, err := c.pathParam("file_path")
	if err != nil {
		return file, "", "", err
	}
	given := c.text("ref")
	if err := c.paramError(); err != nil {
		return file, "", "", err
	}
	if ref, sha, err = c.refSHA(given, "Commit"); err != nil {
		return file, "", "", err
	}
	file, err = c.git().File(c.ctx(), sha, name)
	if errors.Is(err, gitrepo.ErrNotFound) {
		err = notFound("File")
	}
	return file, ref, sha, err
}

func getFile(c *call) error {
	file, ref, sha, err := c.fileInPath()
	if err != nil {
		return err
	}
	if file.Size > maxFileEntity {
		return &models.Error{Kind: models.KindUnprocessable, Code: models.CodeGitTooLarge}
	}
	content, _, err := c.git().Blob(c.ctx(), sha, file.Name, maxFileEntity)
	if err != nil {
		return err
	}
	last, err := c.git().LastCommit(c.ctx(), sha, file.Name)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(content)
	return c.reply(http.StatusOK, fileEntity{
		FileName: path.Base(file.Name), FilePath: file.Name, Size: file.Size, Encoding: "base64",
		Content: base64.StdEncoding.EncodeToString(content), ContentSHA256: hex.EncodeToString(digest[:]), Ref: ref,
		BlobID: file.SHA, CommitID: sha, LastCommitID: last, ExecuteFilemode: file.Mode == "100755",
	})
}

// getRawFile sends the content of a file. The content type is always
// application/octet-stream, so that browsers do not run it.
func getRawFile(c *call) error {
	file, _, _, err := c.fileInPath()
	if err != nil {
		return err
	}
	c.setDownloadHeaders("application/octet-stream", path.Base(file.Name))
	c.Response().Header().Set("Content-Length", strconv.FormatInt(file.Size, 10))
	if c.Request().Method == http.MethodHead {
		return c.NoContent(http.StatusOK)
	}
	return c.finishDownload(c.git().WriteBlob(c.ctx(), c.Response(), file.SHA, file.Size))
}

// setDownloadHeaders sets the headers of a download.
func (c *call) setDownloadHeaders(contentType, name string) {
	h := c.Response().Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("X-Content-Type-Options", "nosniff")
}

// finishDownload handles the error of a download. After the first byte no error
// answer is possible, so it closes the connection and the client notices.
func (c *call) finishDownload(err error) error {
	if err == nil {
		return nil
	}
	if c.Response().Committed {
		if c.ctx().Err() == nil {
			c.api.Log.WarnContext(c.ctx(), "download aborted", "route", c.Path(), "project_id", c.access.Project.ID, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	for _, name := range []string{"Content-Length", "Content-Type", "Content-Disposition"} {
		c.Response().Header().Del(name)
	}
	return err
}

// archiveTypes maps archive formats to content types.
var archiveTypes = map[string]string{"tar.gz": "application/gzip", "tar": "application/x-tar", "zip": "application/zip"}

// archiveAs returns a handler that sends an archive in a format. An empty format
// means the one in the parameter format, or tar.gz.
func archiveAs(format string) func(*call) error {
	return func(c *call) error {
		as := format
		sha, folder, asked := c.text("sha"), c.text("path"), c.enum("format", "tar.gz", "tar", "zip")
		if err := c.paramError(); err != nil {
			return err
		}
		if as == "" {
			as = "tar.gz"
			if asked != nil {
				as = *asked
			}
		}
		return c.archive(sha, strings.Trim(orEmpty(folder), "/"), as)
	}
}

func (c *call) archive(ref *string, folder, format string) error {
	name, sha, err := c.refSHA(ref, "Commit")
	if err != nil {
		return err
	}
	stem := c.access.Project.Path + "-" + strings.ReplaceAll(name, "/", "-")
	if name != sha {
		stem += "-" + sha
	}
	if folder != "" {
		stem += "-" + strings.ReplaceAll(folder, "/", "-")
	}
	archive := gitrepo.Archive{SHA: sha, Path: folder, Format: format, Prefix: stem + "/"}
	err = c.git().CheckArchive(c.ctx(), archive)
	if errors.Is(err, gitrepo.ErrNotFound) {
		return notFound("Path")
	}
	if err != nil {
		return err
	}
	c.setDownloadHeaders(archiveTypes[format], stem+"."+format)
	if c.Request().Method == http.MethodHead {
		return c.NoContent(http.StatusOK)
	}
	return c.finishDownload(c.git().WriteArchive(c.ctx(), c.Response(), archive))
}

type tagEntity struct {
	Name      string        `json:"name"`
	Message   string        `json:"message"`
	Target    string        `json:"target"`
	Commit    *commitEntity `json:"commit"`
	Release   *any          `json:"release"`
	Protected bool          `json:"protected"`
	CreatedAt *timestamp    `json:"created_at"`
}

func (c *call) tag(t gitrepo.Tag) tagEntity {
	entity := tagEntity{Name: t.Name, Message: t.Message, Target: t.Target}
	if t.Commit.SHA != "" {
		commit := c.commit(t.Commit)
		entity.Commit = &commit
	}
	if !t.CreatedAt.IsZero() {
		entity.CreatedAt = timestampOrNull(&t.CreatedAt)
	}
	return entity
}

func listTags(c *call) error {
	order, sort := c.enum("order_by", "name", "updated", "version"), c.enum("sort", "asc", "desc")
	search, page := c.text("search"), c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	by := gitrepo.TagsByDate
	switch orEmpty(order) {
	case "name":
		by = gitrepo.TagsByName
	case "version":
		by = gitrepo.TagsByVersion
	}
	tags, total, err := c.git().Tags(c.ctx(), orEmpty(search), by, orEmpty(sort) == "asc", page.offset(), page.size)
	if err != nil {
		return err
	}
	return replyList(c, page, mapSlice(tags, c.tag), int64(total))
}

func getTag(c *call) error {
	name, err := c.pathParam("tag")
	if err != nil {
		return err
	}
	tag, err := c.git().Tag(c.ctx(), name)
	if errors.Is(err, gitrepo.ErrNotFound) {
		return notFound("Tag")
	}
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, c.tag(tag))
}

// commitInPath loads the commit that :sha names.
func (c *call) commitInPath() (gitrepo.Commit, error) {
	name, err := c.pathParam("sha")
	if err != nil {
		return gitrepo.Commit{}, err
	}
	sha, err := c.resolve(name, "Commit")
	if err != nil {
		return gitrepo.Commit{}, err
	}
	return c.git().Commit(c.ctx(), sha)
}

// listCommitDiff lists the changes of a commit against its first parent.
func listCommitDiff(c *call) error {
	page := c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	commit, err := c.commitInPath()
	if err != nil {
		return err
	}
	parent := ""
	if len(commit.ParentSHAs) > 0 {
		parent = commit.ParentSHAs[0]
	}
	d, err := c.git().Diff(c.ctx(), parent, commit.SHA, gitrepo.DiffLimits{})
	if err != nil {
		return err
	}
	entities := newDiffEntities(d)
	return replyList(c, page, pageOf(entities, page), int64(len(entities)))
}

// maxCandidates limits the merge requests that listCommitMergeRequests examines.
// It takes the oldest, because one of them introduced the commit.
const maxCandidates = 100

// listCommitMergeRequests lists the merge requests that introduce a commit: it is
// one of their commits, or their merge commit.
func listCommitMergeRequests(c *call) error {
	state, page := c.enum("state", "opened", "closed", "merged", "locked", "all"), c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	commit, err := c.commitInPath()
	if err != nil {
		return err
	}
	candidates, err := c.git().HeadsWith(c.ctx(), commit.SHA)
	if err != nil {
		return err
	}
	iids, err := c.api.Store.MergeRequestsMergedBy(c.ctx(), c.access.Project.ID, commit.SHA)
	if err != nil {
		return err
	}
	// Not nil even if empty, because nil IIDs match all merge requests.
	candidates = append([]int64{}, candidates[:min(maxCandidates, len(candidates))]...)
	mrs, _, err := c.api.Store.MergeRequests(c.ctx(), models.MergeRequestFilter{
		ProjectIDs: []int64{c.access.Project.ID}, IIDs: candidates,
	}, models.Page{})
	if err != nil {
		return err
	}
	for _, mr := range mrs {
		c.mr = mr
		base, err := c.base()
		if err != nil {
			return err
		}
		contained := map[string]bool{}
		if base != "" {
			if contained, err = c.contained(base, commit.SHA); err != nil {
				return err
			}
		}
		if !contained[commit.SHA] && !slices.Contains(iids, mr.IID) {
			iids = append(iids, mr.IID)
		}
	}
	filter := models.MergeRequestFilter{ProjectIDs: []int64{c.access.Project.ID}, IIDs: append([]int64{}, iids...)}
	if state != nil && *state != "all" {
		filter.State = models.MergeRequestState(*state)
	}
	return c.listMergeRequests(filter, page)
}
