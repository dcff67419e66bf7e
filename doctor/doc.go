// Package doctor finds out whether a trust repository can be run from here: which roles the keys at hand can sign, what
// the registry can do and which layout of the bundle fits it, whether the clock is sane, how the workspace and what is
// published stand.
//
// [Run] makes all checks and returns a [Report]. A check that fails is a result and no error, with what it means and what
// to do. No private key is opened and nobody is asked anything. In a registry it writes under tags of its own alone,
// CHANNEL.doctor-RANDOM and CHANNEL.v0-doctor-RANDOM, removes them where the registry allows that, and says what it left;
// the channel and its history are read, and never written.
package doctor
