package ociremote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Question is one request to a repository in a registry.
type Question struct {
	// Method and Path, which follows the name of the repository:
	// "/manifests/tuf".
	Method, Path string
	Header       http.Header
	Body         []byte
}

// Answer is what a registry said to a [Question], whatever that was.
type Answer struct {
	Status int
	Header http.Header
	// Body is empty where the answer is a refusal.
	Body []byte
	// Refusal is the error that the status is for all other functions here, nil
	// below 400: an [AuthError] or a [TransportError].
	Refusal error
}

// Ask makes one request of any kind, for who wants to know what a registry does: with
// the credentials, retries and bounds of the client, a token that covers deleting
// wants one for, and answers of at most [MaxManifest] bytes. A status that
// says no is an answer; an error is that there was none. The repository has to be in
// a registry.
func Ask(ctx context.Context, repo Repository, q Question) (*Answer, error) {
	r, ok := repo.(*registryRepository)
	if !ok {
		return nil, errors.New("only a registry can be asked")
	}
	var body io.Reader
	if q.Body != nil {
		body = bytes.NewReader(q.Body)
	}
	req, err := http.NewRequestWithContext(r.prepare(ctx), q.Method, r.base+q.Path, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalidReference, err)
	}
	if q.Header != nil {
		req.Header = q.Header.Clone()
	}
	resp, err := r.client.auth.Do(req)
	if err != nil {
		err = requestError(err, r.host())
		if refused, ok := errors.AsType[*AuthError](err); ok {
			return &Answer{Status: refused.Status, Header: http.Header{}, Refusal: err}, nil
		}
		return nil, err
	}
	defer resp.Body.Close()
	a := &Answer{Status: resp.StatusCode, Header: resp.Header}
	if resp.StatusCode >= http.StatusBadRequest {
		a.Refusal = r.refusal(resp)
		return a, nil
	}
	a.Body, err = io.ReadAll(io.LimitReader(networkBody{resp.Body, resp.Request.URL.Host}, MaxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(a.Body) > MaxManifest {
		return nil, &MalformedError{What: "answer", Err: fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxManifest)}
	}
	return a, nil
}
