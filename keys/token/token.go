package token

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// PINVariable is the environment variable that holds the PIN of a token. The plugin gets it so, since arguments are seen
// by all users of a machine.
const PINVariable = "TUFOCI_PKCS11_PIN"

// Exit statuses of the plugin sigstore-kms-pkcs11. The plugin protocol gives no meaning to them, and its text is for
// people.
const (
	ExitPINNeeded  = 3 // the key is there; a PIN is needed and was not given
	ExitPINRefused = 4 // the token has refused the PIN, which costs one of few tries
)

// ErrURI is the error for a PKCS#11 URI that is not of the form that it must have.
var ErrURI = errors.New("invalid PKCS#11 URI")

// URI names one key in one token (RFC 7512). At least one of the attributes of the token, and one of the key, is there.
type URI struct {
	Token, Serial, Manufacturer, Model string // of the token; "" matches any
	SlotID                             *uint
	Object                             string // label of the key, "" matches any
	ID                                 []byte // of the key, nil matches any

	Module    string // absolute path of the PKCS#11 module
	PINSource string // absolute path of a file with the PIN; ""
}

// Parse reads a URI. The scheme pkcs11: may be missing, as the plugin protocol cuts it off. An attribute that is not known
// is refused, and so is pin-value: URIs stand in files and arguments, which others can read. ErrURI.
func Parse(text string) (*URI, error) {
	text = strings.TrimPrefix(text, "pkcs11:")
	path, query, _ := strings.Cut(strings.TrimPrefix(text, "//"), "?")
	u := &URI{}
	seen := map[string]bool{}
	for _, part := range []struct{ text, separator string }{{path, ";"}, {query, "&"}} {
		for attribute := range strings.SplitSeq(part.text, part.separator) {
			if attribute == "" {
				continue
			}
			name, raw, _ := strings.Cut(attribute, "=")
			if seen[name] {
				return nil, fmt.Errorf("%w: %s is there twice", ErrURI, name)
			}
			seen[name] = true
			value, err := url.PathUnescape(raw)
			if err != nil || value == "" {
				return nil, fmt.Errorf("%w: %s has no value, or one with a bad escape", ErrURI, name)
			}
			if err := u.set(name, value, part.separator == "&"); err != nil {
				return nil, err
			}
		}
	}
	return u, u.check()
}

// set takes one attribute, of the path or of the query.
func (u *URI) set(name, value string, query bool) error {
	if name == "pin-value" {
		return fmt.Errorf("%w: a PIN does not belong in a URI, which others can read; give pin-source=file:/PATH, set %s, or type it", ErrURI, PINVariable)
	}
	if query {
		return u.setQuery(name, value)
	}
	switch name {
	case "token":
		u.Token = value
	case "serial":
		u.Serial = value
	case "manufacturer":
		u.Manufacturer = value
	case "model":
		u.Model = value
	case "object":
		u.Object = value
	case "id":
		u.ID = []byte(value)
	case "type":
		if value != "private" && value != "public" {
			return fmt.Errorf("%w: type=%s is not a key that signs", ErrURI, value)
		}
	case "slot-id":
		slot, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return fmt.Errorf("%w: slot-id=%q is not a number", ErrURI, value)
		}
		u.SlotID = new(uint(slot))
	default:
		return fmt.Errorf("%w: attribute %q is not known here", ErrURI, name)
	}
	return nil
}

func (u *URI) setQuery(name, value string) error {
	switch name {
	case "module-path":
		u.Module = value
	case "pin-source":
		path, ok := strings.CutPrefix(value, "file:")
		if !ok {
			path = value
		}
		if u.PINSource = strings.TrimPrefix(path, "//"); !filepath.IsAbs(u.PINSource) {
			return fmt.Errorf("%w: pin-source=%s: want file:/PATH", ErrURI, value)
		}
	default:
		return fmt.Errorf("%w: attribute %q is not known here", ErrURI, name)
	}
	return nil
}

// check makes sure that the URI can name one key.
func (u *URI) check() error {
	switch {
	case u.Module == "":
		return fmt.Errorf("%w: it does not say which library speaks to the token; add ?module-path=/PATH, such as /usr/lib/softhsm/libsofthsm2.so or /usr/lib/libykcs11.so", ErrURI)
	case !filepath.IsAbs(u.Module):
		return fmt.Errorf("%w: module-path=%s is not an absolute path", ErrURI, u.Module)
	case u.Token == "" && u.Serial == "" && u.SlotID == nil:
		return fmt.Errorf("%w: it names no token; add token=LABEL, serial=NUMBER or slot-id=NUMBER", ErrURI)
	case u.Object == "" && u.ID == nil:
		return fmt.Errorf("%w: it names no key; add object=LABEL or id=%%NN", ErrURI)
	}
	return nil
}

// TokenName names the token for people, and tokens apart.
func (u *URI) TokenName() string {
	var parts []string
	for _, p := range []struct{ name, value string }{
		{"", u.Token}, {"serial ", u.Serial}, {"manufacturer ", u.Manufacturer}, {"model ", u.Model},
	} {
		if p.value != "" {
			parts = append(parts, p.name+p.value)
		}
	}
	if u.SlotID != nil {
		parts = append(parts, "slot "+strconv.FormatUint(uint64(*u.SlotID), 10))
	}
	return strings.Join(parts, ", ")
}

// KeyName names the key in its token for people.
func (u *URI) KeyName() string {
	switch {
	case u.ID == nil:
		return strconv.Quote(u.Object)
	case u.Object == "":
		return "with id " + hex.EncodeToString(u.ID)
	}
	return strconv.Quote(u.Object) + " with id " + hex.EncodeToString(u.ID)
}

// WithoutPIN is the URI, without its scheme and without where the PIN is: what the plugin is given by somebody who gives
// it the PIN, or means to give none.
func WithoutPIN(text string) string {
	path, query, found := strings.Cut(strings.TrimPrefix(text, "pkcs11:"), "?")
	if !found {
		return path
	}
	var keep []string
	for attribute := range strings.SplitSeq(query, "&") {
		if !strings.HasPrefix(attribute, "pin-source=") {
			keep = append(keep, attribute)
		}
	}
	return path + "?" + strings.Join(keep, "&")
}
