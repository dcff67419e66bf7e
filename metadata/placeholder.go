package metadata

import (
	"errors"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Everything here is a placeholder: remove each as soon as its own file defines it.

type Config struct {
	Repository, Channel, Images, Layout, Profile string
	NoSpareKey                                   bool
}

const ProfileDev = "dev"

var ErrKeyMissing = errors.New("key missing")

func LoadConfig(dir string) (*Config, error) { panic("not implemented") }
func (c *Config) Clone() *Config             { panic("not implemented") }
func (c *Config) Marshal() ([]byte, error)   { panic("not implemented") }
func (c *Config) Periods(role string) (expires, renewWithin time.Duration) {
	panic("not implemented")
}

func (c *Config) SetPeriods(role string, expires, renewWithin time.Duration) error {
	panic("not implemented")
}
func VerifySignature(key *tuf.Key, payload, sig []byte) error { panic("not implemented") }
