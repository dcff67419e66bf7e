package tuftest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
)

// do asks the store directly, around network, record and faults.
func (g *Registry) do(method, path string, header http.Header, body []byte) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, bytes.NewReader(body))
	maps.Copy(request.Header, header)
	answer := httptest.NewRecorder()
	g.store.ServeHTTP(answer, request)
	return answer
}

// accept are the manifest types that the direct methods ask for.
var accept = http.Header{"Accept": {manifestType + ", " + indexType}}

// Manifest returns the manifest under a tag or digest; false if there is none.
func (g *Registry) Manifest(repository, reference string) ([]byte, bool) {
	answer := g.do(http.MethodGet, "/v2/"+repository+"/manifests/"+reference, accept, nil)
	return answer.Body.Bytes(), answer.Code == http.StatusOK
}

// Digest returns the digest that a tag points to, "" if there is none.
func (g *Registry) Digest(repository, tag string) string {
	manifest, ok := g.Manifest(repository, tag)
	if !ok {
		return ""
	}
	return Digest(manifest)
}

// PutManifest stores an image manifest under a tag (or its digest).
func (g *Registry) PutManifest(repository, reference string, manifest []byte) {
	g.t.Helper()
	g.put(repository, reference, manifestType, manifest)
}

// PutIndex stores an image index under a tag (or its digest). Its manifests have to be there.
func (g *Registry) PutIndex(repository, reference string, index []byte) {
	g.t.Helper()
	g.put(repository, reference, indexType, index)
}

func (g *Registry) put(repository, reference, mediaType string, manifest []byte) {
	g.t.Helper()
	header := http.Header{"Content-Type": {mediaType}}
	answer := g.do(http.MethodPut, "/v2/"+repository+"/manifests/"+reference, header, manifest)
	g.expect(answer, http.StatusCreated, "storing manifest "+repository+":"+reference)
}

// PutBlob stores a blob and returns its digest.
func (g *Registry) PutBlob(repository string, data []byte) string {
	g.t.Helper()
	digest := Digest(data)
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	answer := g.do(http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest="+url.QueryEscape(digest), header, data)
	if answer.Code == http.StatusAccepted {
		location := answer.Header().Get("Location")
		answer = g.do(http.MethodPut, location+"?digest="+url.QueryEscape(digest), header, data)
	}
	g.expect(answer, http.StatusCreated, "storing blob "+digest)
	return digest
}

// Blob returns a stored blob; false if there is none.
func (g *Registry) Blob(repository, digest string) ([]byte, bool) {
	answer := g.do(http.MethodGet, "/v2/"+repository+"/blobs/"+digest, nil, nil)
	return answer.Body.Bytes(), answer.Code == http.StatusOK
}

// DeleteBlob loses a blob that manifests may still name.
func (g *Registry) DeleteBlob(repository, digest string) {
	g.t.Helper()
	answer := g.do(http.MethodDelete, "/v2/"+repository+"/blobs/"+digest, nil, nil)
	g.expect(answer, http.StatusAccepted, "deleting blob "+digest)
}

// DeleteTag removes a tag, or a manifest by digest.
func (g *Registry) DeleteTag(repository, reference string) {
	g.t.Helper()
	answer := g.do(http.MethodDelete, "/v2/"+repository+"/manifests/"+reference, nil, nil)
	g.expect(answer, http.StatusAccepted, "deleting "+repository+":"+reference)
}

// Tags lists the tags of a repository.
func (g *Registry) Tags(repository string) []string {
	g.t.Helper()
	answer := g.do(http.MethodGet, "/v2/"+repository+"/tags/list?n=10000", nil, nil)
	if answer.Code == http.StatusNotFound {
		return nil
	}
	g.expect(answer, http.StatusOK, "listing tags")
	return tagList(g.t, answer.Body.Bytes())
}

func (g *Registry) expect(answer *httptest.ResponseRecorder, status int, what string) {
	g.t.Helper()
	if answer.Code != status {
		body, _ := io.ReadAll(io.LimitReader(answer.Body, 1024))
		g.t.Fatalf("%s: status %d: %s", what, answer.Code, body)
	}
}

// Digest returns "sha256:<hex>" of data.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
