package cli

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/tufoci/tufoci/internal/notationsign"
)

//go:embed demo_image.txt
var demoLayer []byte

const (
	demoTag = "1.0"
	// demoCRL is where certificates of the story say that their CRL is. Nothing
	// asks for it there: TUF delivers it.
	demoCRL    = "http://crl.acme.example/acme.crl"
	demoPolicy = `{
  "version": "1.0",
  "trustPolicies": [{
    "name": "images",
    "registryScopes": ["*"],
    "signatureVerification": {"level": "strict"},
    "trustStores": ["ca:acme"],
    "trustedIdentities": ["x509.subject: C=US, ST=WA, O=Acme"]
  }]
}
`
)

// demoSigner is a certificate authority of the story and who signs under it.
type demoSigner struct {
	authority *notationsign.Authority
	leaf      *notationsign.Identity
}

// newSigner makes one; NAME.pem is its authority, NAME-leaf.pem its signer.
func (d *demo) newSigner(name string) (*demoSigner, error) {
	authority, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: name})
	if err != nil {
		return nil, err
	}
	leaf, err := authority.Leaf(notationsign.CertificateOptions{Name: "ci under " + name, CRLURLs: []string{demoCRL}})
	if err != nil {
		return nil, err
	}
	crl, err := authority.CRL(notationsign.CRLOptions{Number: 1})
	if err != nil {
		return nil, err
	}
	for file, content := range map[string][]byte{
		name + ".pem":      authority.PEM(),
		name + ".crl":      crl,
		name + "-leaf.pem": notationsign.EncodePEM(leaf.Chain[0]),
	} {
		if err := d.file(file, string(content)); err != nil {
			return nil, err
		}
	}
	return &demoSigner{authority, leaf}, nil
}

// images is the repository of the story's image.
func (d *demo) images() (*remote.Repository, error) {
	repo, err := remote.NewRepository(d.host + "/shop/api")
	if err == nil {
		repo.PlainHTTP = true
	}
	return repo, err
}

// push pushes an image of two platforms under the tag.
func (d *demo) push(ctx context.Context, content []byte) (ocispec.Descriptor, error) {
	repo, err := d.images()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return notationsign.PushIndex(ctx, repo, content, demoTag)
}

// sign signs an image as notation does.
func (d *demo) sign(ctx context.Context, image ocispec.Descriptor, by *demoSigner) error {
	repo, err := d.images()
	if err != nil {
		return err
	}
	_, err = notationsign.Sign(ctx, repo, image, by.leaf, notationsign.Options{})
	return err
}

func (d *demo) image(ctx context.Context) (err error) {
	if d.signer, err = d.newSigner("ca-1"); err != nil {
		return err
	}
	if d.pushed, err = d.push(ctx, demoLayer); err != nil {
		return err
	}
	if err := d.sign(ctx, d.pushed, d.signer); err != nil {
		return err
	}
	if err := d.file("trustpolicy.json", demoPolicy); err != nil {
		return err
	}
	d.say("An image of two platforms is pushed as $H/shop/api:1.0 and signed with Notation,\nunder the authority ca-1. The publisher signs its tag and digest, and delivers the\nauthority, its CRL and the trust policy, all as TUF targets.")
	return d.all(ctx,
		"cert add -t ca -s acme $D/ca-1.pem",
		"crl add $D/ca-1.crl --cert $D/ca-1.pem --url "+demoCRL,
		"policy set notation $D/trustpolicy.json",
		"image add $H/shop/api:"+demoTag,
		"publish -y",
	)
}

func (d *demo) verify(ctx context.Context) error {
	d.say("The consumer lets the trust speak for the images of this registry. The image\nverifies: tag, digest, signature, revocation, all from the pinned root. What runs\nis the digest.")
	return d.all(ctx,
		`trust add acme $R --scope "$H/**"`,
		"verify $H/shop/api:"+demoTag,
		"resolve $H/shop/api:"+demoTag,
	)
}

func (d *demo) movedTag(ctx context.Context) error {
	other, err := d.push(ctx, []byte("not what was signed\n"))
	if err != nil {
		return err
	}
	if err := d.sign(ctx, other, d.signer); err != nil {
		return err
	}
	d.say("Somebody moves the tag behind the publisher's back, to an image that even carries\na good signature. The tag was signed for another digest: refused.")
	if err := d.run(ctx, "verify $H/shop/api:"+demoTag, exitDiffers); err != nil {
		return err
	}
	d.say("The tag is put back.")
	if _, err := d.push(ctx, demoLayer); err != nil {
		return err
	}
	return d.run(ctx, "verify $H/shop/api:"+demoTag, exitOK)
}

func (d *demo) rotateAuthority(ctx context.Context) (err error) {
	if d.signer, err = d.newSigner("ca-2"); err != nil {
		return err
	}
	if err := d.sign(ctx, d.pushed, d.signer); err != nil {
		return err
	}
	d.say("The authority is replaced: the image is signed again under ca-2, which is\npublished as ca-1 goes. No client is touched.")
	return d.all(ctx,
		"cert add -t ca -s acme $D/ca-2.pem",
		"crl rm ca-1",
		"crl add $D/ca-2.crl --cert $D/ca-2.pem --url "+demoCRL,
		"cert rm -t ca -s acme ca-1.pem",
		"publish -y",
		"verify $H/shop/api:"+demoTag,
	)
}

func (d *demo) revoked(ctx context.Context) error {
	d.say("The key of the signer under ca-2 leaks. Its certificate is revoked, and whatever\nit has signed is refused.")
	if err := d.all(ctx,
		"revoke cert $D/ca-2-leaf.pem --reason key-compromise",
		"publish -y",
	); err != nil {
		return err
	}
	return d.run(ctx, "verify $H/shop/api:"+demoTag, exitRevoked)
}

// root1 keeps the root for the consumer, as if it had come by another way.
func (d *demo) root1() error {
	root, err := os.ReadFile(filepath.Join(d.env[envWorkspace], ".tufoci", "base", "1.root.json"))
	if err != nil {
		return fmt.Errorf("the published root: %w", err)
	}
	return d.file("1.root.json", string(root))
}
