package tuftest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"
	"net/url"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// escape is what clients do to a role name in a file name.
func escape(role string) string { return url.PathEscape(role) }

// header is the common part of all signed metadata.
func (r *Repo) header(kind string, of *role) map[string]any {
	expires := of.expires
	if expires.IsZero() {
		expires = r.opts.Now.Add(r.opts.Life)
	}
	return map[string]any{
		"_type":        kind,
		"spec_version": "1.0.31",
		"version":      of.version,
		"expires":      expires.UTC().Format(time.RFC3339),
	}
}

func (r *Repo) rootSigned() map[string]any {
	keys, roles := map[string]any{}, map[string]any{}
	for _, name := range topLevel {
		role := r.roles[name]
		roles[name] = map[string]any{"keyids": addKeys(keys, role.keys), "threshold": role.threshold}
	}
	signed := r.header("root", r.roles["root"])
	signed["consistent_snapshot"] = !r.opts.NonConsistent
	signed["keys"], signed["roles"] = keys, roles
	return signed
}

// addKeys puts keys into a keys object and returns their ids.
func addKeys(into map[string]any, keys []*Key) []string {
	ids := make([]string, len(keys))
	for i, key := range keys {
		into[key.ID], ids[i] = key.Public, key.ID
	}
	return ids
}

func (r *Repo) targetsSigned(of *role) map[string]any {
	signed := r.header("targets", of)
	signed["targets"] = of.targets
	if of.bins > 0 {
		signed["delegations"] = r.succinct(of)
	} else if len(of.delegations) > 0 {
		signed["delegations"] = r.delegations(of)
	}
	return signed
}

func (r *Repo) delegations(of *role) map[string]any {
	keys, roles := map[string]any{}, make([]any, len(of.delegations))
	for i, d := range of.delegations {
		to := r.roles[d.name]
		roles[i] = map[string]any{
			"name": d.name, "paths": d.paths, "terminating": d.terminating,
			"keyids": addKeys(keys, to.keys), "threshold": to.threshold,
		}
	}
	return map[string]any{"keys": keys, "roles": roles}
}

func (r *Repo) succinct(of *role) map[string]any {
	bin := r.roles[binName(of.binPrefix, 0, of.bins)]
	keys := map[string]any{}
	return map[string]any{"keys": keys, "succinct_roles": map[string]any{
		"keyids": addKeys(keys, bin.keys), "threshold": bin.threshold,
		"bit_length": bits.Len(uint(of.bins)) - 1, "name_prefix": of.binPrefix,
	}}
}

func (r *Repo) snapshotSigned() map[string]any {
	meta := map[string]any{}
	for name, role := range r.roles {
		if name != "root" && name != "timestamp" && name != "snapshot" {
			meta[name+".json"] = r.meta(role.version, r.data[name])
		}
	}
	signed := r.header("snapshot", r.roles["snapshot"])
	signed["meta"] = meta
	return signed
}

func (r *Repo) timestampSigned() map[string]any {
	signed := r.header("timestamp", r.roles["timestamp"])
	signed["meta"] = map[string]any{"snapshot.json": r.meta(r.roles["snapshot"].version, r.data["snapshot"])}
	return signed
}

func (r *Repo) meta(version int64, data []byte) map[string]any {
	if r.opts.BareMeta {
		return map[string]any{"version": version}
	}
	sum := sha256.Sum256(data)
	return map[string]any{"version": version, "length": len(data), "hashes": map[string]any{"sha256": hex.EncodeToString(sum[:])}}
}

// sign wraps a signed part in an envelope with one signature a key.
func (r *Repo) sign(signed any, keys []*Key) []byte {
	r.t.Helper()
	data, err := envelope(signed, keys)
	if err != nil {
		r.t.Fatalf("signing test metadata: %v", err)
	}
	return data
}

func envelope(signed any, keys []*Key) ([]byte, error) {
	payload, err := cjson.EncodeCanonical(signed)
	if err != nil {
		return nil, err
	}
	signatures := make([]any, len(keys))
	for i, key := range keys {
		signature, err := key.sign(payload)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", key.ID, err)
		}
		signatures[i] = map[string]any{"keyid": key.ID, "sig": hex.EncodeToString(signature)}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(map[string]any{"signatures": signatures, "signed": signed})
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}
