//go:build e2e

package tuftest

const whole = true
