package ociremote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// maxErrorBody is how much of an error answer is read, in bytes.
const maxErrorBody = 8 << 10

// answer is what a registry said with an error status: clean text for people,
// and oras's error below it.
type answer struct{ resp *errcode.ErrorResponse }

func (a *answer) Error() string {
	var texts []string
	for _, e := range a.resp.Errors {
		texts = append(texts, strings.Trim(cleanText(e.Code)+": "+cleanText(e.Message), ": "))
		if len(texts) == 3 {
			break
		}
	}
	if len(texts) == 0 {
		return fmt.Sprintf("%s %s", a.resp.Method, a.resp.URL.Path)
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives oras's error.
func (a *answer) Unwrap() error { return a.resp }

// statusError is the error for an answer that is no success. It closes nothing.
func statusError(resp *http.Response) error {
	er := &errcode.ErrorResponse{Method: resp.Request.Method, URL: resp.Request.URL, StatusCode: resp.StatusCode}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	var parsed struct {
		Errors errcode.Errors `json:"errors"`
	}
	if json.Unmarshal(body, &parsed) == nil {
		er.Errors = parsed.Errors
	}
	return fromResponse(er)
}

// fromResponse turns an answer of oras into one of our types.
func fromResponse(er *errcode.ErrorResponse) error {
	host := er.URL.Host
	switch er.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &AuthError{Host: host, Status: er.StatusCode, Err: &answer{er}}
	default:
		return &TransportError{Host: host, Status: er.StatusCode, Err: &answer{er}}
	}
}

// registryError turns an error of oras or of net/http into one of our types.
func registryError(err error, host string) error {
	var er *errcode.ErrorResponse
	var ue *url.Error
	var ae *AuthError
	var te *TransportError
	switch {
	case err == nil, errors.As(err, &ae), errors.As(err, &te), errors.Is(err, errdef.ErrNotFound),
		errors.Is(err, ErrMalformed), errors.Is(err, ErrNotModified),
		// Too many redirects break a limit too, and are a failure to reach the registry.
		errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrRedirect):
		return err
	case errors.As(err, &er):
		return fromResponse(er)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return &AuthError{Host: host, Status: http.StatusUnauthorized, Err: errors.New("no credentials are known for it")}
	case errors.As(err, &ue):
		// The operation and URL that net/http puts in front say nothing new.
		return &TransportError{Host: host, Err: ue.Err}
	default:
		return &TransportError{Host: host, Err: err}
	}
}

// requestError is the same for errors of [auth.Client.Do], where what is no
// failure of the network is one of the token server.
func requestError(err error, host string) error {
	var er *errcode.ErrorResponse
	var ue *url.Error
	if errors.As(err, &er) || errors.As(err, &ue) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, auth.ErrBasicCredentialNotFound) {
		return registryError(err, host)
	}
	return &AuthError{Host: host, Status: http.StatusUnauthorized, Err: err}
}

// networkBody makes read errors of a body TransportErrors.
type networkBody struct {
	io.ReadCloser
	host string
}

func (b networkBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = &TransportError{Host: b.host, Err: err}
	}
	return n, err
}
