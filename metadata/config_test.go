package metadata

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// configWith is a tufoci.yaml with one key and the lines given.
func configWith(t testing.TB, lines ...string) []byte {
	t.Helper()
	var b strings.Builder
	b.WriteString("repository: registry.acme.io/trust/tuf\nprofile: standard\n")
	for _, l := range lines {
		b.WriteString(l + "\n")
	}
	return []byte(b.String())
}

// keyLines is the entry of a key, to be set below "keys:".
func keyLines(t testing.TB, name string, more ...string) string {
	t.Helper()
	public := strings.ReplaceAll(strings.TrimSpace(string(publicPEM(t, testKey(t, KeyEd25519).Public()))), "\n", "\n      ")
	lines := append([]string{"  " + name + ":", "    public: |\n      " + public}, more...)
	return strings.Join(lines, "\n")
}

func parseConfig(t testing.TB, data []byte) *Config {
	t.Helper()
	c, err := ParseConfig(data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return c
}

func TestConfigRoundTrip(t *testing.T) {
	t.Parallel()
	public := string(publicPEM(t, testKey(t, KeyRSA3072).Public()))
	c := &Config{
		Repository: "registry.acme.io:5000/trust/tuf", Channel: "next", Images: "registry.acme.io", Layout: "gitlab", Profile: ProfileStrict,
		Beside:     []string{"shop/*", "**", "Mirror.acme.io:5000/shop/api"},
		NoSpareKey: true,
		Roles:      map[string]Periods{"root": {Expires: 400 * day}, "apps-shop": {Expires: 36 * time.Hour, RenewWithin: 90 * time.Minute}},
		Keys: map[string]KeyConfig{
			"root-a": {URI: "file:.tufoci/keys/root-a.pem", Public: public, Owner: "Carol: \"root\" # 1"},
			"root-b": {Public: public},
		},
	}
	data, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got := parseConfig(t, data)
	if !got.equal(c) {
		t.Errorf("%+v\n%s", got, data)
	}
	again, err := got.Marshal()
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("%v\n%s\n%s", err, data, again)
	}
}

func TestConfigKeepsComments(t *testing.T) {
	t.Parallel()
	before := configWith(t,
		"", "# The canonical host.", "images: 'registry.acme.io'  # behind the load balancer",
		"roles:", "  # Legal wants a year.", "  targets: {expires: 1y}", "  snapshot:", "    expires: \"7d\" # a week", "    renewWithin: 6d",
		"keys:", "  # In the safe of the Berlin office.", keyLines(t, "root-a", "    owner: Carol # since 2025"), keyLines(t, "root-b"), "# The end.")
	c := parseConfig(t, before)
	if err := c.SetPeriods("snapshot", 0, 5*day); err != nil {
		t.Fatal(err)
	}
	if err := c.SetPeriods("timestamp", 2*day, day); err != nil {
		t.Fatal(err)
	}
	k := c.Keys["root-a"]
	delete(c.Keys, "root-b")
	c.Keys["online"] = KeyConfig{URI: "file:online.pem", Public: k.Public}
	after, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# The canonical host.\n", "images: 'registry.acme.io' # behind the load balancer\n", "# Legal wants a year.\n", "targets: {expires: 1y}",
		"expires: \"7d\" # a week\n    renewWithin: 5d\n", "# In the safe of the Berlin office.\n", "owner: Carol # since 2025\n", "# The end.\n",
		"timestamp:\n    expires: 2d\n", "uri: file:online.pem\n",
	} {
		if !strings.Contains(string(after), want) {
			t.Errorf("%q is not there", want)
		}
	}
	if got := parseConfig(t, after); !got.equal(c) {
		t.Errorf("%+v", got)
	}
	if t.Failed() {
		t.Logf("%s", after)
	}
}

// Whatever a YAML file is made of, the content counts more than its form.
func TestConfigMergesOddYAML(t *testing.T) {
	t.Parallel()
	for _, data := range [][]byte{
		configWith(t, "roles:", "  targets: &long {expires: 1y}", "  apps: *long"),
		configWith(t, "roles:", "  targets: &long", "    expires: 1y", "  apps:", "    <<: *long", "    renewWithin: 1d"),
		configWith(t, "roles: null", "keys: {}"),
		[]byte(`{"repository": "r.io/trust", "profile": "dev", "roles": {"root": {"expires": "1y"}}}`),
		[]byte("---\nrepository: r.io/trust\nprofile: !!str dev\n...\n"),
		configWith(t, "roles:", "  'apps': {expires: 1y, renewWithin: 1d}"),
	} {
		c := parseConfig(t, data)
		if err := c.SetPeriods("apps", 20*day, 3*day); err != nil {
			t.Fatal(err)
		}
		out, err := c.Marshal()
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if got := parseConfig(t, out); !got.equal(c) {
			t.Errorf("%s\n%s", data, out)
		}
	}
}

// A channel may look like a length of time, which another text can say too.
func TestConfigContentBeforeForm(t *testing.T) {
	t.Parallel()
	c := parseConfig(t, configWith(t, "# why", "channel: 1y"))
	c.Channel = "365d"
	data, err := c.Marshal()
	if err != nil || parseConfig(t, data).Channel != "365d" {
		t.Errorf("%v\n%s", err, data)
	}
}

func TestParseConfigRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		data []byte
		want string // in the message
	}{
		{"nothing", nil, ""},
		{"no repository", []byte("profile: dev\n"), "repository"},
		{"a repository without host", []byte("repository: trust\nprofile: dev\n"), "repository"},
		{"a digest", []byte("repository: r.io/trust@sha256:00\nprofile: dev\n"), "repository"},
		{"no profile", []byte("repository: r.io/trust\n"), "profile"},
		{"an unknown profile", []byte("repository: r.io/trust\nprofile: lax\n"), "lax"},
		{"an unknown member", configWith(t, "", "chanel: tuf"), "line 4"},
		{"an unknown member of a role", configWith(t, "roles:", "  root:", "    expire: 1y"), "line 5"},
		{"an unknown member of a key", configWith(t, "keys:", keyLines(t, "a", "    passphrase: secret")), "passphrase"},
		{"a member twice", configWith(t, "profile: dev"), "line 3"},
		{"a list", []byte("- repository\n"), "line 1"},
		{"two documents", configWith(t, "---", "profile: dev"), "document"},
		{"a channel with a dot", configWith(t, "channel: tuf.v1"), "channel"},
		{"a channel in capitals", configWith(t, "channel: TUF"), "channel"},
		{"a copy under a tag", configWith(t, "beside: ['registry.acme.io/shop/api:tuf']"), "beside"},
		{"a pattern that reaches too far", configWith(t, "beside: ['shop/a**']"), "beside"},
		{"a copy that is there twice", configWith(t, "beside: ['shop/*', 'shop/*']"), "beside"},
		{"a copy without a name", configWith(t, "beside: ['']"), "beside"},
		{"a layout to come", configWith(t, "layout: packed"), "layout"},
		{"images with a path", configWith(t, "images: r.io/mirror"), "images"},
		{"a period without unit", configWith(t, "roles: {root: {expires: 365}}"), "365"},
		{"a period of nothing", configWith(t, "roles: {root: {expires: 0d}}"), "0d"},
		{"half a second", configWith(t, "roles: {root: {expires: 1500ms}}"), "whole seconds"},
		{"renewed for ever", configWith(t, "roles: {root: {expires: 7d, renewWithin: 7d}}"), "renewWithin"},
		{"renewed for longer than the default", configWith(t, "roles: {timestamp: {renewWithin: 8d}}"), "renewWithin"},
		{"a key name in capitals", configWith(t, "keys:", keyLines(t, "Root")), "Root"},
		{"a key name with a slash", configWith(t, "keys:", keyLines(t, "a/b")), "a/b"},
		{"a key without public key", configWith(t, "keys: {a: {uri: 'file:a.pem'}}"), `"a"`},
		{"a key that is none", configWith(t, "keys: {a: {public: abc}}"), `"a"`},
		{"names of one passphrase", configWith(t, "keys:", keyLines(t, "root-a"), keyLines(t, "root.a")), "passphrase"},
		{"a URI of another scheme", configWith(t, "keys:", keyLines(t, "a", "    uri: vault:a")), "vault:a"},
		{"an empty URI", configWith(t, "keys:", keyLines(t, "a", "    uri: 'file:'")), "names nothing"},
	} {
		_, err := ParseConfig(c.data)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestLoadConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := LoadConfig(dir); !errors.Is(err, ErrNoWorkspace) {
		t.Errorf("no file: %v", err)
	}
	path := filepath.Join(dir, configFile)
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"a good file":    {configWith(t), nil},
		"a bad file":     {[]byte("tuf: oci\n"), ErrInvalid},
		"a large file":   {configWith(t, strings.Repeat("#", maxConfig)), ErrDamaged},
		"a deep file":    {[]byte(strings.Repeat("[", 20_000)), ErrInvalid},
		"a laughing one": {configWith(t, laughs()...), ErrInvalid},
	} {
		if err := os.WriteFile(path, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		cfg, err := LoadConfig(dir)
		if !errors.Is(err, c.want) || c.want == nil && cfg.Repository != "registry.acme.io/trust/tuf" {
			t.Errorf("%s: %v", name, err)
		}
		if c.want != nil && !strings.Contains(fmt.Sprint(err), configFile) {
			t.Errorf("%s: the message does not name the file: %v", name, err)
		}
	}
}

// laughs is YAML of a few lines that would expand to gigabytes.
func laughs() []string {
	lines := []string{"roles:", "  a0: &a0 {expires: 1d}"}
	for i := 1; i < 10; i++ {
		lines = append(lines, fmt.Sprintf("  a%d: &a%d [%s]", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", ")))
	}
	return lines
}

func TestConfigClone(t *testing.T) {
	t.Parallel()
	c := parseConfig(t, configWith(t, "roles: {root: {expires: 1y}}", "keys:", keyLines(t, "a")))
	next := c.Clone()
	if !next.equal(c) {
		t.Error("a copy differs")
	}
	if err := next.SetPeriods("root", 2*365*day, 0); err != nil {
		t.Fatal(err)
	}
	delete(next.Keys, "a")
	next.Channel = "other"
	if want := (Periods{Expires: 365 * day}); c.Roles["root"] != want || len(c.Keys) != 1 || c.Channel != "" {
		t.Errorf("the copy changed the original: %+v", c)
	}
}

func TestPeriods(t *testing.T) {
	t.Parallel()
	h := time.Hour
	for _, c := range []struct {
		profile, role  string
		expires, renew time.Duration
	}{
		{ProfileStandard, "root", 365 * day, 60 * day},
		{ProfileStandard, "targets", 180 * day, 45 * day},
		{ProfileStandard, "apps-shop", 180 * day, 45 * day},
		{ProfileStandard, "images", 180 * day, 45 * day},
		{ProfileStandard, "bins", 30 * day, 10 * day},
		{ProfileStandard, "snapshot", 7 * day, 6 * day},
		{ProfileStandard, "timestamp", 7 * day, 6 * day},
		{ProfileDev, "timestamp", 7 * day, 6 * day},
		{ProfileDev, "root", 365 * day, 60 * day},
		{ProfileStrict, "root", 365 * day, 60 * day},
		{ProfileStrict, "targets", 365 * day, 60 * day},
		{ProfileStrict, "apps-shop", 180 * day, 45 * day},
		{ProfileStrict, "snapshot", 7 * day, 6 * day},
		{ProfileStrict, "timestamp", 24 * h, 22 * h},
	} {
		cfg := &Config{Profile: c.profile}
		if expires, renew := cfg.Periods(c.role); expires != c.expires || renew != c.renew {
			t.Errorf("%s, %s: %v, %v", c.profile, c.role, expires, renew)
		}
	}
}

// A life that is changed alone keeps a window for its renewal that makes sense.
func TestSetPeriods(t *testing.T) {
	t.Parallel()
	for _, expires := range []time.Duration{time.Second, time.Minute, day, 6 * day, 30 * day, 365 * day, 60 * 365 * day, 100 * 365 * day} {
		for _, role := range []string{"root", "targets", "timestamp", "bins"} {
			c := &Config{Repository: "r.io/trust", Profile: ProfileStandard}
			if err := c.SetPeriods(role, expires, 0); err != nil {
				t.Errorf("%s, %v: %v", role, expires, err)
				continue
			}
			_, standard := (&Config{Profile: ProfileStandard}).Periods(role)
			got, renew := c.Periods(role)
			if got != expires || renew >= expires || renew > standard || renew < 0 {
				t.Errorf("%s, %v: %v, %v", role, expires, got, renew)
			}
			if data, err := c.Marshal(); err != nil || !parseConfig(t, data).equal(c) {
				t.Errorf("%s, %v: %v", role, expires, err)
			}
		}
	}
	c := &Config{Repository: "r.io/trust", Profile: ProfileStandard}
	for _, bad := range [][2]time.Duration{{day, day}, {day, 2 * day}, {-day, 0}, {day, -time.Hour}, {1500 * time.Millisecond, 0}, {0, 8 * day}} {
		if err := c.Clone().SetPeriods("timestamp", bad[0], bad[1]); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if err := c.SetPeriods("timestamp", 3*day, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := c.SetPeriods("timestamp", 2*day, 0); err != nil {
		t.Fatal(err)
	}
	if expires, renew := c.Periods("timestamp"); expires != 2*day || renew != time.Hour {
		t.Errorf("%v, %v", expires, renew)
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		profile, role string
		threshold     int
	}{
		{ProfileDev, "root", 1},
		{ProfileDev, "targets", 1},
		{ProfileStandard, "root", 2},
		{ProfileStandard, "targets", 1},
		{ProfileStandard, "timestamp", 1},
		{ProfileStrict, "root", 2},
		{ProfileStrict, "targets", 2},
		{ProfileStrict, "snapshot", 1},
	} {
		if got := profileThreshold(c.profile, c.role); got != c.threshold {
			t.Errorf("%s, %s: threshold %d, want %d", c.profile, c.role, got, c.threshold)
		}
	}
	for _, p := range Profiles() {
		if err := checkProfile(p); err != nil {
			t.Error(err)
		}
	}
	if err := checkProfile(""); !errors.Is(err, ErrInvalid) {
		t.Errorf("no profile: %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(configWith(f, "# why", "channel: tuf", "roles:", "  root: {expires: 1y, renewWithin: 30d}", "keys:", keyLines(f, "root-a", "    uri: file:a.pem")))
	f.Add(configWith(f, "roles:", "  targets: &long", "    expires: 1y", "  apps:", "    <<: *long"))
	f.Add([]byte(`{repository: r.io/t, profile: dev, roles: {"a": {expires: 1d12h}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		c.Channel = "fuzzed"
		maps.DeleteFunc(c.Roles, func(role string, _ Periods) bool { return len(role) > 4 })
		out, err := c.Marshal()
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if got, err := ParseConfig(out); err != nil || !got.equal(c) {
			t.Fatalf("%v\n%s\n%s", err, data, out)
		}
		var node yaml.Node
		if err := yaml.Unmarshal(out, &node); err != nil {
			t.Fatal(err)
		}
	})
}
