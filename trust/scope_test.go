package trust_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/trust"
)

func scope(t testing.TB, s string) trust.Scope {
	t.Helper()
	parsed, err := trust.ParseScope(s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func mapsOf(t testing.TB, texts ...string) []trust.Map {
	t.Helper()
	var all []trust.Map
	for _, s := range texts {
		m, err := trust.ParseMap(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func TestParseScope(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"registry.acme.io/shop/api":       "registry.acme.io/shop/api",
		"Registry.ACME.io:5000/**":        "registry.acme.io:5000/**",
		"registry.acme.io/**/api":         "registry.acme.io/**/api",
		"registry.acme.io/shop/api-*":     "registry.acme.io/shop/api-*",
		"registry.acme.io/*/*":            "registry.acme.io/*/*",
		"localhost/a":                     "localhost/a",
		"docker.io/nginx":                 "docker.io/library/nginx",
		"index.docker.io/*":               "docker.io/library/*",
		"registry-1.docker.io/acme/*":     "docker.io/acme/*",
		"docker.io/**":                    "docker.io/**",
		"registry.acme.io/a*/b/**/c*d*/e": "registry.acme.io/a*/b/**/c*d*/e",
	} {
		s := scope(t, in)
		if s.String() != want {
			t.Errorf("%q: %q, want %q", in, s, want)
		}
		if again := scope(t, s.String()); again != s {
			t.Errorf("%q reads back as %q", s, again)
		}
		if host, _, _ := strings.Cut(want, "/"); s.Host() != host {
			t.Errorf("%q: host %q", in, s.Host())
		}
	}
}

func TestParseScopeRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "/", "**", "*", "registry.acme.io", "registry.acme.io/", "shop/**", "*/shop", "*.acme.io/shop", "reg*.io/a", "**/a",
		"registry.acme.io/a**", "registry.acme.io/***", "registry.acme.io/**a/b", "registry.acme.io/a//b", "registry.acme.io/a/",
		"registry.acme.io/A", "registry.acme.io/a:t", "registry.acme.io/a@*", "registry.acme.io/a?", "registry.acme.io/[ab]", `registry.acme.io/a\*`,
		"registry.acme.io/../a", "registry.acme.io/-a", "registry.acme.io/a b", " registry.acme.io/a", "registry.acme.io/a\n",
		"https://registry.acme.io/a", "oci-layout:a/b", "registry.acme.io/\u0430pi", "reg\u0456stry.acme.io/a", "registry.acme.io./a",
		"registry.acme.io/" + strings.Repeat("a", 255),
	} {
		if s, err := trust.ParseScope(in); !errors.Is(err, trust.ErrInvalidScope) || s != (trust.Scope{}) {
			t.Errorf("%q: %q, %v", in, s, err)
		}
	}
}

func TestScopeMatch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		scope    string
		in, outs string // space between them
	}{
		{
			"registry.acme.io/shop/api", "registry.acme.io/shop/api",
			"registry.acme.io/shop/api2 registry.acme.io/shop/ap registry.acme.io/shop/api/x registry.acme.io/shop registry.acme.io/x/shop/api",
		},
		{
			"registry.acme.io/shop/*", "registry.acme.io/shop/api registry.acme.io/shop/a.b-c",
			"registry.acme.io/shop registry.acme.io/shop/a/b registry.acme.io/shop2/api registry.acme.io/api",
		},
		{
			"registry.acme.io/**", "registry.acme.io/a registry.acme.io/a/b registry.acme.io/a/b/c/d",
			// Hosts that only look alike.
			"registry.acme.io.evil.com/a registry-acme.io/a registry.acme.io:443/a xregistry.acme.io/a evil.com/registry.acme.io/a " +
				"acme.io/a Registry.acme.io/a registry.acme.io./a reg\u0456stry.acme.io/a registry\u3002acme.io/a registry.acme.io",
		},
		{"registry.acme.io:443/**", "registry.acme.io:443/a", "registry.acme.io/a registry.acme.io:4433/a registry.acme.io:44/a"},
		{
			"registry.acme.io/shop/**", "registry.acme.io/shop/a registry.acme.io/shop/a/b",
			"registry.acme.io/shop registry.acme.io/shop2/a registry.acme.io/x/shop/a",
		},
		{"registry.acme.io/**/api", "registry.acme.io/a/api registry.acme.io/a/b/api registry.acme.io/api/api", "registry.acme.io/api registry.acme.io/a/api/b"},
		{"registry.acme.io/**/x/**", "registry.acme.io/a/x/b registry.acme.io/x/x/x registry.acme.io/a/b/x/x/c", "registry.acme.io/x/b registry.acme.io/a/x"},
		{"registry.acme.io/api*", "registry.acme.io/api registry.acme.io/api-admin", "registry.acme.io/ap registry.acme.io/api/x registry.acme.io/xapi"},
		{"registry.acme.io/a*-*z", "registry.acme.io/a-z registry.acme.io/ab-c-dz", "registry.acme.io/az registry.acme.io/a-y"},
		{"docker.io/nginx", "docker.io/library/nginx", "docker.io/nginx index.docker.io/library/nginx docker.io/nginx/library"},
	}
	for _, tt := range tests {
		s := scope(t, tt.scope)
		for name := range strings.SplitSeq(tt.in, " ") {
			if !s.Match(name) {
				t.Errorf("%s does not match %s", s, name)
			}
		}
		for name := range strings.SplitSeq(tt.outs+" "+strings.Fields(tt.in)[0]+":tag", " ") {
			if s.Match(name) {
				t.Errorf("%s matches %s", s, name)
			}
		}
	}
	if (trust.Scope{}).Match("registry.acme.io/a") || (trust.Scope{}).Match("") {
		t.Error("the empty scope matches")
	}
	// Work stays bounded by the length of both.
	deep := "registry.acme.io/" + strings.Repeat("**/", 60) + "z"
	if scope(t, deep).Match("registry.acme.io/" + strings.Repeat("a/", 110) + "b") {
		t.Error("a deep name matches")
	}
}

func TestScopeLiteral(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{"a.io/b": 6, "a.io/b*": 6, "a.io/b/**": 7, "a.io/**": 5} {
		if got := scope(t, in).Literal(); got != want {
			t.Errorf("%s: %d, want %d", in, got, want)
		}
	}
}

func TestParseMap(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"reg.local:5000=registry.acme.io":        "reg.local:5000=registry.acme.io",
		"REG.local/Hub=docker.io":                "",
		"reg.local/hub=index.docker.io":          "reg.local/hub=docker.io",
		"REG.local/hub=registry.acme.io/a/b":     "reg.local/hub=registry.acme.io/a/b",
		"":                                       "",
		"reg.local":                              "",
		"=registry.acme.io":                      "",
		"reg.local=":                             "",
		"local=registry.acme.io":                 "",
		"reg.local/=registry.acme.io":            "",
		"reg.local=registry.acme.io=x.io":        "",
		"reg.local/*=registry.acme.io":           "",
		"reg.local/a:t=registry.acme.io":         "",
		"reg.local=reg.local":                    "",
		"docker.io=index.docker.io":              "",
		"https://reg.local=registry.acme.io":     "",
		"reg.local/../x=registry.acme.io":        "",
		"r\u0435g.local=registry.acme.io":        "",
		"reg.local=registry.acme.io/" + "A":      "",
		"reg.local =registry.acme.io":            "",
		"reg.local/a@sha256:00=registry.acme.io": "",
	} {
		m, err := trust.ParseMap(in)
		if want == "" {
			if !errors.Is(err, trust.ErrInvalidScope) || m != (trust.Map{}) {
				t.Errorf("%q: %q, %v", in, m, err)
			}
			continue
		}
		if err != nil || m.String() != want {
			t.Errorf("%q: %q, %v", in, m, err)
		}
		if again, err := trust.ParseMap(m.String()); err != nil || again != m {
			t.Errorf("%q reads back as %q, %v", m, again, err)
		}
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	all := mapsOf(t, "reg.local:5000=registry.acme.io", "reg.local:5000/mirror=other.io/x", "reg.local:5000/mirror/deep=deep.io",
		"reg.local/hub=docker.io", "reg.local/one=registry.acme.io/shop/api", "other.io=never.io")
	for in, want := range map[string]string{
		"reg.local:5000/shop/api":        "registry.acme.io/shop/api",
		"reg.local:5000/mirror/a":        "other.io/x/a", // and not on to never.io
		"reg.local:5000/mirror":          "other.io/x",
		"reg.local:5000/mirror2/a":       "registry.acme.io/mirror2/a",
		"reg.local:5000/mirror/deep/a/b": "deep.io/a/b",
		// deep.io alone is no repository.
		"reg.local:5000/mirror/deep":      "other.io/x/deep",
		"reg.local:5001/a":                "reg.local:5001/a",
		"reg.local:50000/a":               "reg.local:50000/a",
		"reg.local/a":                     "reg.local/a",
		"reg.local.evil.com/hub/a":        "reg.local.evil.com/hub/a",
		"xreg.local/hub/a":                "xreg.local/hub/a",
		"reg.local/hub/nginx":             "docker.io/library/nginx",
		"reg.local/hub/library/nginx":     "docker.io/library/nginx",
		"reg.local/hub":                   "reg.local/hub",
		"reg.local/one":                   "registry.acme.io/shop/api",
		"registry.acme.io/shop/api":       "registry.acme.io/shop/api",
		"evil.com/reg.local:5000/shop/ap": "evil.com/reg.local:5000/shop/ap",
	} {
		if got := trust.Canonical(in, all); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	all := mapsOf(t, "reg.local:5000=registry.acme.io", "edge.local/acme=registry.acme.io", "reg.local:5000/shop=other.io", "api.local/api=registry.acme.io/shop/api", "reg.local/hub=docker.io")
	for in, want := range map[string][]string{
		"registry.acme.io/tools/x":   {"registry.acme.io/tools/x", "edge.local/acme/tools/x", "reg.local:5000/tools/x"},
		"registry.acme.io/shop/api":  {"registry.acme.io/shop/api", "api.local/api", "edge.local/acme/shop/api"}, // reg.local:5000/shop is another
		"registry.acme.io/shop/api2": {"registry.acme.io/shop/api2", "edge.local/acme/shop/api2"},
		"docker.io/library/nginx":    {"docker.io/library/nginx", "reg.local/hub/library/nginx"},
		"nobody.io/a":                {"nobody.io/a"},
		// What lies there is known as something else.
		"reg.local:5000/a": nil,
	} {
		got := trust.Known(in, all)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
		for _, name := range got {
			if trust.Canonical(name, all) != in {
				t.Errorf("%s does not lead back to %s", name, in)
			}
		}
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	entry := func(name string, m []trust.Map, scopes ...string) trust.Entry {
		e := trust.Entry{Name: name, Source: name + ".io/trust:tuf", Maps: m}
		for _, s := range scopes {
			e.Scopes = append(e.Scopes, scope(t, s))
		}
		return e
	}
	entries := []trust.Entry{
		entry("acme", mapsOf(t, "reg.local=registry.acme.io"), "registry.acme.io/**", "registry.acme.io/shop/**"),
		entry("api", nil, "registry.acme.io/shop/api"),
		entry("both", nil, "registry.acme.io/**"),
		entry("none", nil),
	}
	for in, want := range map[string]string{
		"registry.acme.io/x":        "acme registry.acme.io/x registry.acme.io/**; both registry.acme.io/x registry.acme.io/**; ",
		"registry.acme.io/shop/web": "acme registry.acme.io/shop/web registry.acme.io/shop/**; ",
		"registry.acme.io/shop/api": "api registry.acme.io/shop/api registry.acme.io/shop/api; ",
		// Only acme knows the mirror.
		"reg.local/shop/api": "acme registry.acme.io/shop/api registry.acme.io/shop/**; ",
	} {
		all, err := trust.Select(entries, in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		}
		var got strings.Builder
		for _, a := range all {
			got.WriteString(a.Entry.Name + " " + a.Canonical + " " + a.Scope.String() + "; ")
		}
		if got.String() != want {
			t.Errorf("%s: %s, want %s", in, got.String(), want)
		}
	}
	for _, in := range []string{"registry.acme.io.evil.com/x", "registry-acme.io/x", "registry.acme.io:443/x", "reg.local:443/x", "", "registry.acme.io", "registry.acme.io/x:t"} {
		if all, err := trust.Select(entries, in); !errors.Is(err, trust.ErrNoScope) || all != nil {
			t.Errorf("%q: %v, %v", in, all, err)
		}
	}
}

func TestNoScopeErrorTellsWhatWouldHelp(t *testing.T) {
	t.Parallel()
	with := trust.Entry{Name: "web", Source: "web.io/trust:tuf", Scopes: []trust.Scope{scope(t, "web.io/**")}}
	without := trust.Entry{Name: "acme", Source: "registry.acme.io/trust/tuf:tuf", Maps: mapsOf(t, "reg.local=registry.acme.io")}
	second := trust.Entry{Name: "beta", Source: "beta.io/trust:tuf"}
	for _, tt := range []struct {
		entries []trust.Entry
		image   string
		reason  string
		suggest string
	}{
		{nil, "registry.acme.io/shop/api", "there is no trust", "registry.acme.io/shop/**"},
		{[]trust.Entry{without}, "registry.acme.io/shop/api", "trust acme (registry.acme.io/trust/tuf:tuf) has no scope", "registry.acme.io/shop/**"},
		{[]trust.Entry{without}, "reg.local/shop/api", "trust acme (registry.acme.io/trust/tuf:tuf) has no scope", "registry.acme.io/shop/**"},
		{[]trust.Entry{with, without, second}, "registry.acme.io/a/b/c", "trusts acme (registry.acme.io/trust/tuf:tuf), beta (beta.io/trust:tuf) have no scope", "registry.acme.io/a/b/**"},
		{[]trust.Entry{with}, "registry.acme.io/api", "no scope of trust web (web.io/trust:tuf) matches", "registry.acme.io/api"},
		{[]trust.Entry{with}, "registry.acme.io", "no scope of trust web (web.io/trust:tuf) matches", ""},
	} {
		_, err := trust.Select(tt.entries, tt.image)
		e, ok := errors.AsType[*trust.NoScopeError](err)
		if !ok || e.Reason() != tt.reason || err.Error() != "no trust speaks for "+tt.image {
			t.Errorf("%s: %v", tt.image, err)
			continue
		}
		got, ok := e.Suggest(without)
		if got.String() != tt.suggest && ok || ok != (tt.suggest != "") {
			t.Errorf("%s: suggests %q, %v", tt.image, got, ok)
		}
	}
}

func FuzzParseScope(f *testing.F) {
	for _, s := range []string{"registry.acme.io/**", "docker.io/*", "a.b:1/c/d*", "[::1]/a/**/b", "localhost/a"} {
		f.Add(s, "registry.acme.io/shop/api")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		s, err := trust.ParseScope(text)
		if err != nil {
			if s != (trust.Scope{}) || !errors.Is(err, trust.ErrInvalidScope) {
				t.Fatalf("%q: %q, %v", text, s, err)
			}
			return
		}
		if s.Match(name) && !strings.HasPrefix(name, s.Host()+"/") {
			t.Fatalf("%s matches %s of another host", s, name)
		}
		if again, err := trust.ParseScope(s.String()); err != nil || again != s {
			t.Fatalf("%q: %q, then %q, %v", text, s, again, err)
		}
		if n := s.Literal(); s.Match(name) && !strings.HasPrefix(name, s.String()[:n]) {
			t.Fatalf("%s matches %s", s, name)
		}
	})
}

func FuzzParseMap(f *testing.F) {
	f.Add("reg.local:5000/x=docker.io", "reg.local:5000/x/nginx")
	f.Add("reg.local=registry.acme.io/a", "reg.local/b")
	f.Fuzz(func(t *testing.T, text, name string) {
		m, err := trust.ParseMap(text)
		if err != nil {
			if m != (trust.Map{}) || !errors.Is(err, trust.ErrInvalidScope) {
				t.Fatalf("%q: %q, %v", text, m, err)
			}
			return
		}
		for _, known := range trust.Known(name, []trust.Map{m}) {
			if trust.Canonical(known, []trust.Map{m}) != name {
				t.Fatalf("%s: %s is known as %s, which is another", m, name, known)
			}
		}
		if again, err := trust.ParseMap(m.String()); err != nil || again != m {
			t.Fatalf("%q: %q, then %q, %v", text, m, again, err)
		}
		got := trust.Canonical(name, []trust.Map{m})
		if got != name && name != m.Mirror && !strings.HasPrefix(name, m.Mirror+"/") {
			t.Fatalf("%s leads %s to %s", m, name, got)
		}
	})
}
