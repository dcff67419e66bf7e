package material

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// Extensions of CRLs and of their entries, RFC 5280 section 5.2 and 5.3.
var (
	oidDeltaIndicator    = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIssuingPoint      = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidCertificateIssuer = asn1.ObjectIdentifier{2, 5, 29, 29}
)

// parseExtensions reads what says which certificates the CRL speaks of. Any
// critical extension but these two could say more: it is refused (RFC 5280
// section 5.2), and so is one that stands twice.
func (c *CRL) parseExtensions() error {
	seen := map[string]bool{}
	for _, ext := range c.List.Extensions {
		if seen[ext.Id.String()] {
			return fmt.Errorf("the extension %s stands twice", ext.Id)
		}
		seen[ext.Id.String()] = true
		var err error
		switch {
		case ext.Id.Equal(oidDeltaIndicator):
			err = c.parseDelta(ext.Value)
		case ext.Id.Equal(oidIssuingPoint):
			err = c.parseIssuingPoint(ext.Value)
		case ext.Critical:
			err = fmt.Errorf("the critical extension %s, which this does not know", ext.Id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parseDelta reads the delta CRL indicator, RFC 5280 section 5.2.4.
func (c *CRL) parseDelta(der []byte) error {
	base := new(big.Int)
	rest, err := asn1.Unmarshal(der, &base)
	switch {
	case err != nil || len(rest) > 0 || base.Sign() < 0:
		return errors.New("its delta CRL indicator is malformed")
	case c.List.Number == nil:
		return errors.New("a delta CRL without a number")
	case c.List.Number.Cmp(base) <= 0:
		return fmt.Errorf("delta CRL number %d is not above that of its base, %d", c.List.Number, base)
	}
	c.BaseNumber = base
	return nil
}

var errIssuingPoint = errors.New("its issuing distribution point is malformed")

// Fields of the issuing distribution point, by their tags.
const (
	pointName = iota
	pointOnlyUser
	pointOnlyCA
	pointSomeReasons
	pointIndirect
	pointOnlyAttribute
)

// parseIssuingPoint reads the issuing distribution point, RFC 5280 section
// 5.2.5. It is taken apart by hand: asn1.Unmarshal passes over fields that are
// out of order, and so over the word that a CRL is indirect.
func (c *CRL) parseIssuingPoint(der []byte) error {
	var sequence asn1.RawValue
	rest, err := asn1.Unmarshal(der, &sequence)
	if err != nil || len(rest) > 0 || sequence.Class != asn1.ClassUniversal || sequence.Tag != asn1.TagSequence || !sequence.IsCompound {
		return errIssuingPoint
	}
	only := 0
	last := -1
	for rest = sequence.Bytes; len(rest) > 0; {
		var field asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &field); err != nil || field.Class != asn1.ClassContextSpecific || field.Tag <= last {
			return errIssuingPoint
		}
		last = field.Tag
		if field.Tag == pointName {
			if err := c.parsePointName(field); err != nil {
				return err
			}
			continue
		}
		set, err := pointFlag(field)
		if err != nil {
			return err
		}
		if !set {
			continue
		}
		switch field.Tag {
		case pointSomeReasons:
			c.SomeReasons, c.Partial = true, true
			continue
		case pointOnlyUser:
			c.OnlyUser = true
		case pointOnlyCA:
			c.OnlyCA = true
		case pointOnlyAttribute:
			return errors.New("it is for attribute certificates, which nothing here has")
		case pointIndirect:
			return errors.New("it is indirect: it speaks of certificates of other issuers")
		}
		only++
	}
	if only > 1 {
		return errIssuingPoint
	}
	return nil
}

// pointFlag reads a field that is true or false; reasons are true.
func pointFlag(field asn1.RawValue) (bool, error) {
	switch {
	case field.Tag > pointOnlyAttribute || field.IsCompound || len(field.Bytes) == 0:
		return false, errIssuingPoint
	case field.Tag == pointSomeReasons:
		return true, nil
	case len(field.Bytes) != 1 || field.Bytes[0] != 0 && field.Bytes[0] != 0xff:
		return false, errIssuingPoint
	}
	return field.Bytes[0] != 0, nil
}

// parsePointName reads a DistributionPointName (RFC 5280 section 4.2.1.13) and
// keeps its URLs: by other names no certificate is found here.
func (c *CRL) parsePointName(field asn1.RawValue) error {
	const (
		fullName = 0
		relative = 1
		uri      = 6
	)
	var name asn1.RawValue
	rest, err := asn1.Unmarshal(field.Bytes, &name)
	if err != nil || len(rest) > 0 || !field.IsCompound || name.Class != asn1.ClassContextSpecific || !name.IsCompound || name.Tag > relative {
		return errIssuingPoint
	}
	c.Partial = true
	if name.Tag == relative {
		return nil
	}
	for rest = name.Bytes; len(rest) > 0; {
		var general asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &general); err != nil || general.Class != asn1.ClassContextSpecific {
			return errIssuingPoint
		}
		if general.Tag == uri {
			c.points = append(c.points, string(general.Bytes))
		}
	}
	return nil
}
