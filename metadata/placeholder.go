package metadata

// Config is a placeholder: remove this file as soon as config.go defines it.
type Config struct{ Repository, Channel, Images, Layout string }
