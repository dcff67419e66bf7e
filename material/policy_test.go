package material

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"
)

const goodPolicy = `{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],
	"signatureVerification":{"level":"strict","override":{"revocation":"log"},"verifyTimestamp":"afterCertExpiry"},
	"trustStores":["ca:acme"],"trustedIdentities":["*"]}]}`

func TestParsePolicy(t *testing.T) {
	t.Parallel()
	doc, err := ParsePolicy([]byte(goodPolicy))
	if err != nil || len(doc.TrustPolicies) != 1 || doc.TrustPolicies[0].TrustStores[0] != "ca:acme" || doc.TrustPolicies[0].SignatureVerification.Override["revocation"] != "log" {
		t.Fatalf("%+v, %v", doc, err)
	}
	for name, edit := range map[string][2]string{
		"bytes behind":                          {`}]}`, `}]}{}`},
		"unknown member":                        {`"override"`, `"overide"`},
		"unknown member at the top":             {`"version":"1.0"`, `"version":"1.0","comment":"x"`},
		"another spelling":                      {`"trustStores"`, `"truststores"`},
		"another spelling of a verification":    {`"revocation":"log"`, `"Revocation":"log"`},
		"statements twice":                      {`"version":"1.0"`, `"trustPolicies":[],"version":"1.0"`},
		"statements twice, in another spelling": {`"version":"1.0"`, `"TrustPolicies":[],"version":"1.0"`},
		"stores twice":                          {`"trustStores":["ca:acme"]`, `"trustStores":["ca:other"],"trustStores":["ca:acme"]`},
		"stores null":                           {`["ca:acme"]`, `null`},
		"a member of another place":             {`"version":"1.0"`, `"version":"1.0","level":"strict"`},
		"another version":                       {`"1.0"`, `"1.1"`},
		"no statement":                          {goodPolicy, `{"version":"1.0","trustPolicies":[]}`},
		"unknown level":                         {`"strict"`, `"lax"`},
		"integrity overridden":                  {`"revocation":"log"`, `"integrity":"log"`},
		"override of what is no verification":   {`"revocation":"log"`, `"version":"log"`},
		"unknown store type":                    {`ca:acme`, `CA:acme`},
		"scope with a prefix":                   {`"*"]`, `"registry.acme.io/*"]`},
		"empty":                                 {goodPolicy, ``},
		"null":                                  {goodPolicy, `null`},
		"too large":                             {goodPolicy, goodPolicy + strings.Repeat(" ", MaxPolicySize)},
	} {
		data := strings.Replace(goodPolicy, edit[0], edit[1], 1)
		if data == goodPolicy {
			t.Fatalf("%s: nothing was edited", name)
		}
		if doc, err := ParsePolicy([]byte(data)); !errors.Is(err, ErrInvalid) || doc != nil {
			t.Errorf("%s: %v, %v; want ErrInvalid", name, doc, err)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(goodPolicy))
	f.Add([]byte(`{"version":"1.0","trustPolicies":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := ParsePolicy(data)
		if (err == nil) != (doc != nil) || err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatalf("%v, %v", doc, err)
		}
		if err == nil {
			readTwice(t, data, doc, ParsePolicy, func(a, b *trustpolicy.Document) bool { return reflect.DeepEqual(a, b) })
		}
	})
}
