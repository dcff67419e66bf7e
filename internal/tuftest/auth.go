package tuftest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// tokenPath is the token endpoint: on the registry's own host, since clients
// refuse loopback realms elsewhere.
const tokenPath = "/token"

// authorised lets a request pass or answers it with 401.
func (g *Registry) authorised(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case g.opts.Basic:
		if g.credentials(r.BasicAuth()) {
			return true
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="tuftest"`)
	case g.opts.Token:
		needed := neededScope(r)
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && g.covers(token, needed) {
			return true
		}
		challenge := fmt.Sprintf("Bearer realm=%q,service=%q", g.server.URL+tokenPath, g.Host())
		if needed != "" {
			challenge += fmt.Sprintf(",scope=%q", needed)
		}
		w.Header().Set("WWW-Authenticate", challenge)
	default:
		return true
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	fmt.Fprintln(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
	return false
}

func (g *Registry) credentials(username, password string, ok bool) bool {
	return ok && username == g.opts.Username && password == g.opts.Password
}

// neededScope is the scope that a request needs, "" for the ping.
func neededScope(r *http.Request) string {
	rest, ok := strings.CutPrefix(r.URL.Path, "/v2/")
	if !ok || rest == "" {
		return ""
	}
	for _, kind := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		if i := strings.LastIndex(rest, kind); i > 0 {
			rest = rest[:i]
			break
		}
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return "repository:" + rest + ":pull"
	case http.MethodDelete:
		return "repository:" + rest + ":delete"
	}
	return "repository:" + rest + ":pull,push"
}

// covers reports whether a token was issued for what a scope asks.
func (g *Registry) covers(token, needed string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	scopes, ok := g.tokens[token]
	if !ok || needed == "" {
		return ok
	}
	i := strings.LastIndex(needed, ":")
	for _, scope := range scopes {
		actions, ok := strings.CutPrefix(scope, needed[:i+1])
		if !ok {
			continue
		}
		has := strings.Split(actions, ",")
		if slices.Contains(has, "*") || !slices.ContainsFunc(strings.Split(needed[i+1:], ","), func(a string) bool { return !slices.Contains(has, a) }) {
			return true
		}
	}
	return false
}

// issueToken answers the token endpoint, as GET (Docker) or POST (OAuth2).
func (g *Registry) issueToken(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	username, password, ok := r.BasicAuth()
	if r.Form.Get("grant_type") == "password" {
		username, password, ok = r.Form.Get("username"), r.Form.Get("password"), true
	}
	if g.opts.Username != "" && !g.credentials(username, password, ok) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var scopes []string
	for _, scope := range r.Form["scope"] {
		scopes = append(scopes, strings.Fields(scope)...)
	}
	token := rand.Text()
	g.mu.Lock()
	g.tokens[token] = scopes
	g.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "access_token": token, "expires_in": 3600})
}
