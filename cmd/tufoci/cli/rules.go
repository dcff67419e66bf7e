package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/tufoci/tufoci/ceremony"
	"github.com/tufoci/tufoci/dct"
	"github.com/tufoci/tufoci/doctor"
	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/keys"
	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/mirror"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/serve"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
	"github.com/tufoci/tufoci/verify/notationdir"
)

// rule maps one kind of error to its exit code, to why it happens, and to the
// command that helps: the first of next whose {names} are all known. A next
// never loosens a check; a test runs each through the command tree.
type rule struct {
	match func(error) bool
	code  int
	cause string
	next  []string
}

func is(targets ...error) func(error) bool {
	return func(err error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
}

func isForeignState(err error) bool {
	return errors.Is(err, trust.ErrWrongRoot) && errors.Is(err, trust.ErrState)
}

func as[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// isOver reports whether a limit that a trust can set was reached: that of the name, or
// any for "".
func isOver(name string) func(error) bool {
	return func(err error) bool {
		limit := limitOf(err)
		return limit != "" && (name == "" || name == limit)
	}
}

// limitOf names the limit that a trust can set and that was reached; "" for none.
func limitOf(err error) string {
	over, ok := errors.AsType[*fetcher.LimitError](err)
	if !ok {
		return ""
	}
	return over.Limit
}

// isNoCopyForHome reports whether nothing next to an image could answer for a home
// that cannot be reached.
func isNoCopyForHome(err error) bool {
	return errors.Is(err, verify.ErrNoCopy) && trust.IsUnreachable(err)
}

// isFull reports whether there was no room to write.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// nextRebase is the way out of a fork.
const nextRebase = "`tufoci publish --rebase`, in the workspace that published what was lost, makes it again"

// isUndelegated reports whether a role was to be proposed to which nothing delegates yet.
func isUndelegated(err error) bool {
	return errors.Is(err, metadata.ErrProposal) && errors.Is(err, metadata.ErrNoRole)
}

// rules is looked through from the top; the first match decides. What says
// most about the way out stands first: a refused signature inside a failed
// publish is about the signature.
var rules = []rule{
	{as[*interruptedError], exitInterrupted, "a signal ended the command; nothing is half written", nil},
	{as[nothingError], exitNothingToDo, "", nil},
	{as[*unaskedError], exitUsage, "a person has to answer, and nobody can be asked here; nothing was changed", []string{"`{command} --help`"}},
	{as[*usageError], exitUsage, "the command line is not complete or not right", []string{"`{command} --help`"}},
	{as[*declinedError], exitOther, "the answer was not yes; nothing was changed", nil},
	{as[*timeoutError], exitRegistry, "the registry or the network is slow, or the limit is short", []string{"again, with more time: `{command} --timeout 30m`"}},
	{isFull, exitOther, "the disk, or what may be used of it, is full; what was there before is whole, and nothing newer is answered that cannot be remembered", []string{"make room, then `{command}` again"}},

	// Deliveries and schedules.
	{is(mirror.ErrShortLived), exitStale, "where it goes nothing newer may arrive before then", []string{"`tufoci mirror save ... --valid-until {until}`", "what has ended has to be renewed first: a holder of its keys runs `tufoci publish`"}},
	{is(mirror.ErrCargo), exitMalformed, "an archive holds one trust repository, images under their full names, and what refers to them", []string{"`tufoci mirror save` makes such an archive"}},
	{is(mirror.ErrConfig), exitUsage, "a mirror.yaml is read strictly, so that nothing in it is overlooked; nothing was copied", []string{"correct the file that is named, then `{command}` again"}},
	{is(mirror.ErrLocked), exitLocked, "two schedules, or a schedule and a person, are at the same mirrors", []string{"`{command}` again, when it is done"}},
	{as[*behindError], exitStale, "its source has moved on, or its schedule does not run", []string{"`tufoci mirror sync once`, with the same file"}},

	// Why an image is refused, the gravest first.
	{is(verify.ErrRevoked), exitRevoked, "whoever may revoke has said so; that overrides every role and policy", []string{"run another version; `tufoci inspect {trust}` shows what the decision rests on"}},
	{is(verify.ErrDiffers), exitDiffers, "the tag was moved after it was signed, or something else is served", []string{"`{again} --format json` has both digests; tell its publisher, who knows which is right"}},
	{is(verify.ErrEnvelope), exitDiffers, "the signature was changed, or is that of another image", []string{"ask its publisher to sign it again; `{again} --format json` has the evidence"}},
	{is(verify.ErrUntrusted), exitUntrusted, "the signature does not hold up against what the trust delivers", []string{"`{again} --format json` has the evidence of each signature; tell its publisher"}},
	{is(verify.ErrNoStatement), exitUntrusted, "the trust policy that the trust delivers does not speak of this repository", []string{"ask the publisher of the trust: `tufoci policy show`"}},
	{is(verify.ErrLevel), exitNotVouched, "the trust policy lets it pass without verifying it", []string{"ask the publisher of the trust for a strict statement: `tufoci policy show`"}},
	{is(verify.ErrUnmapped), exitNotVouched, "no role that may speak for this name has signed it, or its signature has not arrived yet", []string{"its publisher: `tufoci image add {image}`, then `tufoci publish`", "which images are signed: `tufoci ls {trust}`", "which images are signed: `tufoci ls {source}`"}},
	{is(verify.ErrNoSignature), exitNotVouched, "nobody has signed it with Notation, or the signature was not copied along", []string{"its publisher signs it with notation, and a copy needs its signatures too; then `{again}`"}},
	{is(verify.ErrNoPolicy), exitRefused, "a signature is required, and nothing says whose", []string{"the publisher of the trust: `tufoci policy set notation trustpolicy.json`, then `tufoci publish`"}},
	{is(verify.ErrPolicyScope), exitRefused, "a policy that reaches beyond its trust could speak for images of others", []string{"compare with the scopes of `tufoci trust show {trust}`; tell the publisher of the trust"}},
	{is(verify.ErrImageNotFound), exitAbsent, "no such tag or digest is there", []string{"compare the reference with the one that its publisher gives, then `{again}`", "which images are signed: `tufoci ls {trust}`", "which images are signed: `tufoci ls {source}`", "compare the reference with the one that its publisher gives: `{command} --help`"}},
	{is(verify.ErrMaterial, trust.ErrRevocations), exitMalformed, "what decides about images cannot be read as a whole, so nothing passes", []string{"tell the publisher of the trust, and which tufoci refused it: `tufoci version`"}},
	{as[*trust.NoScopeError], exitNoTrust, "{reason}; a trust speaks only for the images in its scopes", []string{"`tufoci trust add {trust} {source} --scope {scope}`", "pin the root of its publisher: `{pin}`", "`tufoci trust list` shows the scopes that there are"}},
	{as[*notDecidingError], exitNoTrust, "the trust with the most particular scope decides, and no command line takes its say", []string{"`tufoci trust list` shows the scopes that there are"}},
	{is(trust.ErrScopeTaken), exitNoTrust, "two trusts on one scope must both accept, which is said with --also", []string{"`tufoci trust list` shows the scopes that there are"}},

	// Copies of images.
	{is(mirror.ErrNoMatch), exitNotVouched, "patterns choose among the signed tags, by their canonical names", []string{"which images are signed: `tufoci ls {trust}`", "which images are signed: `tufoci ls {source}`"}},
	{is(mirror.ErrEndless), exitMalformed, "what a source lists without an end is not read to one", []string{"tell the operator of the source, and which tufoci refused it: `tufoci version`"}},

	// What is too much. A limit is raised by who knows that the publisher means it.
	{isOver("roots"), exitMalformed, "the source has more new roots than one refresh follows, the limit roots", []string{"`{command}` again, where a state is kept"}},
	{isOver(""), exitMalformed, "the limit {limit} of what is read, which trust add --limit {limit}=VALUE sets for a trust, up to {ceiling}", []string{"ask its publisher whether it has to be so; which limits are set: `tufoci trust show {trust}`", "tell the publisher, and which tufoci refused it: `tufoci version`"}},

	// The consumer's refusals, the strongest first.
	{isNoCopyForHome, exitRegistry, "home could not be reached, and no copy of the trust was found next to the image", []string{"`{again}`, later, or where home can be reached"}},
	{is(trust.ErrRollback, trust.ErrMinTimestamp), exitRollback, "the source offers something older than what was seen: an old copy, or an attempt to hide newer metadata", []string{"`tufoci inspect {source}` shows what it offers; tell its operator"}},
	{is(trust.ErrThreshold), exitThreshold, "the keys that must vouch for it have not signed these bytes", []string{"`tufoci inspect {source}` shows what the source offers; tell its publisher"}},
	{isForeignState, exitNoTrust, "the roots in the state on disk are damaged, or were put there; they could own the trust, so nothing is repaired", []string{"find out who wrote them, and take their directory out of the state directory; then `{command}` again", "find out who wrote them, and take their directory out of the state directory"}},
	{is(trust.ErrWrongRoot), exitNoTrust, "the root that is pinned does not lead to what is there", []string{"compare with the checksum that the publisher gives: `tufoci trust show {trust}`", "get the checksum of its root from the publisher, then `tufoci trust add NAME {source} --checksum sha256:HEX`"}},
	{is(trust.ErrExists), exitNoTrust, "a pin is not replaced in passing", []string{"compare with the checksum that the publisher gives: `tufoci trust show {trust}`"}},
	{is(trust.ErrNoTrust), exitNoTrust, "trusts are named with trust add", []string{"`tufoci trust list`"}},
	{as[*unpinnedError], exitNoTrust, "no root is pinned for this source and none was given", []string{"`tufoci trust add NAME {source} --root FILE`, with a root file from its publisher"}},
	{is(trust.ErrExpired), exitStale, "the publisher has not renewed it; nothing newer was offered", []string{"ask a holder of its keys to run `tufoci refresh {source} --key FILE`; what people sign: `tufoci publish`", "ask a holder of its keys to run `tufoci publish`"}},
	{as[*unhealthyError], exitStale, "whoever renews it has not, or not in time", []string{"a holder of its keys: `tufoci refresh {source} --key FILE`; what people sign: `tufoci publish`"}},
	{as[*overwrittenError], exitConflict, "two publishers were at work, or somebody has the keys: consumers see the head, and not what it does not have", []string{nextRebase + "; `tufoci log {source}` shows both", nextRebase + "; `tufoci log` shows both"}},
	{as[*besideError], exitStale, "whoever renews the copies does not know this one, or could not write it", []string{"a holder of its keys: `tufoci refresh {source} --key FILE --beside {copy}`"}},
	{is(trust.ErrStaleCopy), exitStale, "this copy is older than what was seen before, and lacks a file that is needed", []string{"`tufoci trust update {trust}`, when the copy has been renewed", "ask the operator of the copy to run `tufoci mirror copy`"}},
	{is(trust.ErrClock), exitStale, "the clock of this machine was set back, or was wrong when it last succeeded", []string{"set the clock, then `tufoci trust update {trust}`", "set the clock, then `{command}` again"}},
	{is(publish.ErrUnverified), exitStale, "what is copied has to be verified", []string{"`{command} --help`"}},
	{is(trust.ErrNoState), exitStale, "nothing has been verified for this trust yet", []string{"`tufoci trust update {trust}`"}},
	{is(trust.ErrMismatch), exitDiffers, "the source holds other bytes than those that are signed", []string{"`tufoci inspect {source}` shows what the source offers; tell its operator"}},
	{is(dct.ErrExpired), exitStale, "the keys of Docker Content Trust have not signed again, as is common where it is no longer in use", []string{"let docker fetch what is current, or give a list of its tags instead: `{command} --help`"}},
	{is(dct.ErrSignature), exitThreshold, "the keys that must vouch for it have not signed these bytes", []string{"`{command} --help`"}},
	{is(dct.ErrRoot), exitNoTrust, "a root is never taken from the data itself: it comes from whoever holds its key", []string{"with its root.json or the id of its root key: `{command} --help`"}},
	{is(dct.ErrFormat), exitMalformed, "what was read is neither metadata of Notary v1 nor what docker trust inspect prints", []string{"`{command} --help`"}},
	{is(publish.ErrAdopt), exitRefused, "a workspace is made of a whole repository, which has to be one that a bundle can hold", []string{"`tufoci inspect {source}` shows what it offers"}},
	{is(publish.ErrNotSigned), exitNotVouched, "no role that may speak for this name has signed it", []string{"`tufoci image add {image}`, then `tufoci publish`"}},
	{is(trust.ErrStateFormat), exitMalformed, "an older tufoci does not touch what it may not understand", []string{"with the tufoci that wrote it, or a later one; this is `tufoci version`"}},
	{is(trust.ErrState), exitMalformed, "somebody or something else wrote it; it is not used and not changed, for what was seen would be given up", []string{"look at it, and take it out of the state directory; then `{command}` again", "look at it, and take it out of the state directory"}},
	{is(trust.ErrMalformed, ociremote.ErrMalformed, ociremote.ErrNewerFormat, ociremote.ErrTooLarge, fetcher.ErrRootGap, fetcher.ErrLimit, fetcher.ErrInvalidName, publish.ErrPartial, serve.ErrPartial), exitMalformed, "what was read breaks the rules of the format, or a limit", []string{"tell the publisher, and which tufoci refused it: `tufoci version`"}},
	{is(trust.ErrTargetNotFound), exitOther, "no role that may speak for this name lists it", []string{"`tufoci ls {trust}`", "`tufoci ls {source}`"}},
	{is(trust.ErrImageTarget), exitUsage, "the file of this target is an image in a registry", []string{"`{command} --help`"}},
	{is(trust.ErrConfig), exitUsage, "a trust.yaml is read strictly, so that nothing in it is overlooked; nothing was changed", []string{"correct the file that is named, then `{command}` again"}},
	{is(trust.ErrInvalidName, trust.ErrInvalidScope, trust.ErrInvalidEntry, fetcher.ErrInvalidSource, ociremote.ErrInvalidReference), exitUsage, "a name, reference or file is not of the form that it must have", []string{"`{command} --help`"}},

	{is(verify.ErrNoCopy), exitAbsent, "the trust has no home, and neither the image's repository nor the image itself has a copy of it", []string{"ask its publisher for `tufoci attach {image}`, copy the image with all that refers to it, then `{again}`"}},
	{is(trust.ErrNoHome), exitUsage, "it was added with --beside: what it knows comes from copies next to images", []string{"`tufoci trust show {trust}`"}},

	// What is handed on to stock Notation.
	{is(trust.ErrNoScope), exitNoTrust, "the trust has no scope that says for which images it speaks", []string{"`tufoci trust add {trust} {source} --scope 'HOST/**'`", "`tufoci trust list`"}},
	{is(notationdir.ErrState), exitMalformed, "somebody or something else wrote it; nothing was changed", []string{"into another directory: `tufoci trust sync {trust} --to notation --dir DIR`"}},
	{is(notationdir.ErrOtherTrust), exitRefused, "each trust keeps its own statements", []string{"`tufoci trust sync {trust} --to notation --policy merge` adds its statements to theirs"}},
	{is(notationdir.ErrScopeClash, notationdir.ErrPolicy), exitRefused, "Notation has one statement for a repository, in a form of its own", []string{"what each trust speaks for: `tufoci trust list`"}},
	{is(notationdir.ErrForeign), exitRefused, "it is not overwritten in passing", []string{"look at it; into another directory: `tufoci trust sync {trust} --to notation --dir DIR`", "`{command} --help`"}},
	{is(notationdir.ErrLocked), exitLocked, "another tufoci syncs into this directory", []string{"`{command}` again, when it is done"}},

	// What a doctor found, where no error of another kind says it.
	{is(doctor.ErrUnfit), exitRefused, "publishing would fail there", []string{"what each ✗ above says; then `tufoci doctor`"}},
	{is(doctor.ErrClock, doctor.ErrState), exitStale, "consumers, or this machine, would refuse it", []string{"what each ✗ above says; then `tufoci doctor`"}},

	// Ceremonies, and signatures that were made elsewhere.
	{is(ceremony.ErrNewerFormat), exitMalformed, "who started the ceremony has a newer tufoci", []string{"ask for the version that wrote it; this is `tufoci version`"}},
	{is(ceremony.ErrFormat), exitMalformed, "it was changed on its way, or is something else; nothing was signed", []string{"ask who started the ceremony for the file again, and compare the txid by voice: `tufoci ceremony review {file}`"}},
	{is(ceremony.ErrOther), exitDiffers, "signatures are over the bytes of one ceremony, and count for no other", []string{"compare the txid with who sent it: `tufoci ceremony review {file}`"}},
	{is(ceremony.ErrMoved), exitConflict, "somebody has published since the ceremony started; signatures of it would not count", []string{"who started it: `tufoci ceremony abort {file}`, then `tufoci publish` takes over what others did"}},
	{is(ceremony.ErrBaseDiffers), exitDiffers, "the file says of what is published what is not so", []string{"do not sign; ask who started it, and compare with `tufoci inspect {source}`"}},
	{is(ceremony.ErrIncomplete), exitNeedSignatures, "{wanted}", []string{"{keys}: `tufoci ceremony sign {file} --key URI`, with the URI of their key"}},
	{is(ceremony.ErrNeedsKey), exitUsage, "it is the bare signature, as openssl and pkcs11-tool write it", []string{"`tufoci ceremony add {file} SIG --key NAME`, with the name of the key"}},
	{is(ceremony.ErrLocked), exitLocked, "two commands add signatures to the same file", []string{"`{command}` again, when it is done"}},
	{is(metadata.ErrPayload), exitMalformed, "keys of a repository sign its metadata, and nothing else", []string{"whoever has the workspace: `tufoci payload ROLE -o FILE`"}},
	{is(metadata.ErrFrozen), exitRefused, "people are signing these bytes; other ones would make their signatures void", []string{"`tufoci ceremony abort {file}` gives the ceremony up and keeps what is staged"}},
	{is(metadata.ErrChanged), exitRefused, "the signatures are over other bytes, and would not count", []string{"`tufoci ceremony abort {file}`, then start it again"}},
	{is(metadata.ErrNotFrozen), exitOther, "it is over, or was started in another workspace", []string{"`tufoci status` shows the open ones"}},
	{is(metadata.ErrSignature), exitThreshold, "only a signature that counts is added; nothing was changed", []string{"sign the bytes that `tufoci payload ROLE -o FILE` writes, or those of `tufoci ceremony review FILE -o FILE`, with a key of the role"}},

	// The publisher's.
	{is(publish.ErrDiffers), exitDiffers, "the tag was moved since it was signed, by you or by somebody else", []string{"compare with what was built: `tufoci image list` shows what is signed"}},
	{is(publish.ErrBesideName), exitUsage, "a copy is kept in a repository, or in those of images that match a pattern", []string{"`{command} --help`"}},
	{is(metadata.ErrImageDiffers), exitDiffers, "the tag was moved since it was signed, by you or by somebody else", []string{"compare with what was built: `tufoci image list` shows what is signed"}},
	{is(metadata.ErrImageInUse), exitRefused, "an image is allowed by its tags as well as by its digest", []string{"`tufoci image rm {target}`, which takes the digest along"}},
	{is(publish.ErrNoImage), exitAbsent, "the registry does not have what was asked for", []string{"compare the name with the one in the registry: `{command} --help`"}},
	{is(publish.ErrImageHost), exitUsage, "names in metadata have no host: they stand for the one that tufoci.yaml calls images", []string{"`{command} --help`"}},
	{is(metadata.ErrNeedSignatures), exitNeedSignatures, "can be signed by: {keys}", []string{"a holder of one of the keys: `tufoci sign {role}`, with --key FILE where tufoci.yaml does not say where the key is"}},
	{is(metadata.ErrLastVersion), exitRefused, "whoever had the online key drove the versions up to the end", []string{"`tufoci rotate online --key URI`, point the tag at the last good bundle of its history, then `tufoci publish`"}},
	{is(publish.ErrFork), exitConflict, "two publishers were at work, or somebody has the keys; what was overwritten is still known in this workspace", []string{"`tufoci publish --rebase` makes it again on what is there now; `tufoci publish --rebase --dry-run` shows what"}},
	{as[*metadata.RebaseConflictError], exitConflict, "others have changed the same things to something else; your workspace is unchanged", []string{"agree with them; `tufoci reset {target}` drops what you staged of it, then `tufoci publish --rebase` makes the rest again", "agree with them; `tufoci reset --all` drops your changes, `tufoci publish` takes over what others did, and what is still wanted is staged again"}},
	{is(metadata.ErrConflict, publish.ErrConflict), exitConflict, "somebody else published the role; your workspace is unchanged", []string{"`tufoci publish --rebase` makes your changes again on {head} and asks for new signatures; `tufoci reset {role}` drops them, and `tufoci publish` takes over what others did"}},
	{is(publish.ErrPending), exitConflict, "somebody else of the team was faster; what you staged is still here", []string{"`tufoci check` shows what is proposed; agree with whoever did"}},
	{is(publish.ErrMoving), exitConflict, "other publishers are at work; your workspace is unchanged", []string{"when they are done, or to wait for them: `tufoci publish --wait 5m`"}},
	{is(metadata.ErrPassphrase), exitKey, "the passphrase does not open the key", []string{"set the right TUFOCI_PASSPHRASE; which keys there are: `tufoci key list`"}},
	{as[*keys.PINError], exitKey, "tokens lock after a few wrong PINs, so none is tried twice; nothing that is staged was lost", []string{"with the right PIN in TUFOCI_PKCS11_PIN, in a file that pin-source= of the URI names, or typed: `tufoci key test`"}},
	{as[*brokenKeysError], exitKey, "what it needs is not here, or does not answer as it should", []string{"when that is mended: `tufoci key test`"}},
	{as[*keys.PlaceError], exitKey, "the token, the agent, the service or the program that reaches it is not here, or refuses; nothing that is staged was lost", []string{"when it is here: `tufoci key test`; other keys that would do: `tufoci key list`"}},
	{is(metadata.ErrUnsignable), exitKey, "no TUF client would count its signature, so it was dropped", []string{"`tufoci key test`"}},
	{is(metadata.ErrNoSpareKey), exitRefused, "a root whose threshold is the number of its keys cannot survive the loss of one", []string{"add a key in the same step: `tufoci role set root --add-key NAME`"}},
	{as[*metadata.NoKeysError], exitKey, "can be signed by: {keys}", []string{"with one of these keys: `tufoci refresh {source} --key FILE`"}},
	{is(metadata.ErrKeyMissing, metadata.ErrKey), exitKey, "the key is not here, or not of a kind that can be used", []string{"`tufoci key list`"}},
	{is(metadata.ErrKeyInUse), exitRefused, "a role would lose a key without a word", []string{"`tufoci role set ROLE --rm-key {key}`"}},
	{is(metadata.ErrKeyExists), exitUsage, "a key is never written over, and has one name", []string{"`tufoci key list`"}},
	{is(metadata.ErrLocked), exitLocked, "another tufoci works in this workspace", []string{"`{command}` again, when it is done"}},
	{is(metadata.ErrForeignHead, publish.ErrForeignTag), exitRefused, "tufoci never moves a tag that it did not write", []string{"choose another repository or tag: `{command} --help`"}},
	{is(metadata.ErrReserved, metadata.ErrNotDelegated), exitRefused, "clients would ignore it there, or it would weaken trust", []string{"which role may list what: `tufoci role list`"}},
	{is(material.ErrIssuer), exitRefused, "clients believe a CRL through the CA of a store: its issuer, or one above it", []string{"add the CA first: `tufoci cert add -t ca -s STORE FILE`, or give --cert a file with the certificates between"}},
	{is(material.ErrOlder), exitRefused, "an old CRL lacks what was revoked since", []string{"`tufoci crl list` shows what there is; get the newest from its issuer"}},
	{is(material.ErrInvalid), exitRefused, "clients would refuse it, and with it everything that it goes with", []string{"`{command} --help`"}},
	{isUndelegated, exitRefused, "a role is folded in once the role that delegates to it is published", []string{"who signs that one: `tufoci publish`; the first version of a role goes along: `tufoci payload ROLE -o FILE`, `tufoci sign-payload FILE`, `tufoci add-signature ROLE`"}},
	{is(metadata.ErrProposal), exitRefused, "whoever folds it in would refuse it", []string{"`tufoci diff {role}` shows what is staged", "which roles there are: `tufoci role list`"}},
	{is(metadata.ErrLint), exitRefused, "clients would choke on it, or it would weaken trust", []string{"`tufoci diff` shows what is staged"}},
	{is(metadata.ErrNoWorkspace), exitUsage, "this directory is not a workspace", []string{"`tufoci init REPO`, or name the workspace with -C"}},
	{is(metadata.ErrWorkspaceExists), exitUsage, "a workspace is never written over", []string{"`tufoci status`"}},
	{is(metadata.ErrNotStaged), exitUsage, "what is signed or sent is staged first, by a command that edits", []string{"`tufoci status` shows what is staged"}},
	{as[*metadata.ConfigError], exitUsage, "a tufoci.yaml is read strictly, so that nothing in it is overlooked; nothing was changed", []string{"correct the file that is named, then `{command}` again"}},
	{is(metadata.ErrInvalid), exitUsage, "a name, path, pattern or value is refused", []string{"`{command} --help`"}},
	{is(metadata.ErrNoRole, metadata.ErrRoleExists), exitUsage, "roles are named as in the list", []string{"`tufoci role list`"}},
	{is(metadata.ErrNoTarget), exitUsage, "they are named as in the list", []string{"`tufoci {noun} list`"}},
	{is(metadata.ErrDamaged), exitOther, "somebody or something else wrote it; nothing was changed", []string{"restore the workspace from its backup, then `tufoci status`"}},
	{as[*noRoleError], exitOther, "roles are named as in the list", []string{"`tufoci inspect {trust}`", "`tufoci inspect {source}`"}},
	{as[*noVersionError], exitOther, "a bundle holds the current version of each role, and every root", []string{"name the bundle of that time by its history tag: `tufoci inspect --help`"}},

	// The history.
	{is(metadata.ErrStaged), exitRefused, "what is staged would be lost", []string{"`tufoci diff {role}` shows it; `tufoci publish` keeps it, `tufoci reset {role}` drops it"}},
	{is(publish.ErrNoVersion), exitAbsent, "it never was, or is not kept any more", []string{"which versions there are: `tufoci log`"}},
	{is(publish.ErrNoRoot), exitUsage, "root versions go from 1 to the newest", []string{"`tufoci inspect {trust}`", "`tufoci inspect {source}`", "`{command} --help`"}},
	{is(publish.ErrNoDelete), exitOther, "the registry, or how it is set up, lets nobody remove tags", []string{"a rule of the registry can keep the newest; which would go: `tufoci prune {source} --dry-run`", "a rule of the registry can keep the newest; which would go: `tufoci prune --dry-run`"}},
	{is(publish.ErrTooManyTags), exitMalformed, "what a registry lists without an end is not read to one", []string{"tell the operator of the registry, and which tufoci refused it: `tufoci version`"}},

	// The registry's and the network's.
	{as[*ociremote.AuthError], exitAuth, "the registry wants credentials, or refuses those that it was given", []string{"`tufoci login {host}`"}},
	{is(publish.ErrHeadMissing), exitAbsent, "the tag was deleted, or this is another repository", []string{"`tufoci status` shows where this workspace publishes"}},
	{is(fetcher.ErrNoRepository, ociremote.ErrNotFound), exitAbsent, "there is no trust repository under this name", []string{"compare the reference with the one that the publisher gives; if it is yours, `tufoci publish` makes it"}},
	{is(ociremote.ErrForeign), exitAbsent, "the tag holds something else", []string{"compare the reference with the one that the publisher gives: `{command} --help`"}},
	{as[*trust.UnreachableError], exitRegistry, "a moment ago the registry could not be reached or could not answer", []string{"`tufoci trust update {trust}` asks it at once"}},
	{is(ociremote.ErrRedirect), exitRegistry, "it sends on to where nobody follows it, for that would be another registry, or one that is less protected", []string{"compare the reference with the one that its publisher gives; tell the operator of the registry, and which tufoci refused it: `tufoci version`"}},
	{is(fetcher.ErrTooSlow, fetcher.ErrTimeout), exitRegistry, "the registry or the network is slow, or the limit is short", []string{"`{command}` again, later; which limits are set: `tufoci trust show {trust}`", "`{command}` again, later"}},
	{as[*ociremote.TransportError], exitRegistry, "the registry could not be reached or could not answer", []string{"`{command}` again, later"}},
	{is(fetcher.ErrLostBlob, fetcher.ErrMoved, ociremote.ErrBlobNotFound), exitRegistry, "the registry has lost a file, or the tag moved meanwhile", []string{"`{command}` again, later"}},
	{is(context.DeadlineExceeded), exitRegistry, "the registry or the network is slow", []string{"`{command}` again, later"}},
	{is(publish.ErrTooManyClaims), exitConflict, "publishers have died on the way, or several are at work", []string{"`tufoci publish`, when no other is at work"}},

	{as[*listenError], exitOther, "another program has the address, or it is not one of this machine", []string{"with another address: `{command} --help`"}},
	{is(fs.ErrExist), exitOther, "it is there already and is not overwritten", []string{"with another name: `{command} --help`"}},
	{is(fs.ErrNotExist), exitOther, "there is no such file", []string{"`{command} --help`"}},
	{is(fs.ErrPermission, syscall.EROFS), exitOther, "the file system refuses it", []string{"as whoever owns the file, or somewhere else that can be written: `{command} --help`"}},
}

// learn takes names from the evidence in an error.
func (s *subject) learn(err error) {
	if e, ok := errors.AsType[*trust.NoScopeError](err); ok {
		s.learnScope(e)
	}
	if limit, ok := fetcher.LimitNamed(limitOf(err)); ok {
		s.limit, s.ceiling = limit.Name, limit.Format(limit.Ceiling)
	}
	if e, ok := errors.AsType[*ociremote.AuthError](err); ok {
		s.host = e.Host
	}
	if e, ok := errors.AsType[*metadata.NeedSignaturesError](err); ok && len(e.Roles) > 0 {
		s.roles, s.keys = []string{e.Roles[0].Role}, missingKeys(e.Roles[0])
	}
	if e, ok := errors.AsType[*metadata.NoKeysError](err); ok && len(e.Roles) > 0 {
		s.roles, s.keys = []string{e.Roles[0].Role}, missingKeys(metadata.RoleSignatures{Rules: e.Roles[0].Rules})
	}
	if e, ok := errors.AsType[*metadata.StagedError](err); ok {
		s.roles = e.Roles
	}
	if e, ok := errors.AsType[*besideError](err); ok {
		s.copy = e.first
	}
	if e, ok := errors.AsType[*metadata.ConflictError](err); ok && len(e.Roles) > 0 {
		s.roles, s.head = []string{e.Roles[0].Role}, formatVersion(e.Roles[0].HeadVersion)
	}
	if e, ok := errors.AsType[*metadata.RebaseConflictError](err); ok {
		s.targets = resettable(e)
	}
	if e, ok := errors.AsType[*metadata.FrozenError](err); ok {
		s.file = first(e.Freeze.File, ceremony.Short(e.Freeze.ID))
	}
	if e, ok := errors.AsType[*ceremony.IncompleteError](err); ok && len(e.Roles) > 0 {
		s.keys, s.wanted = missingKeys(e.Roles[0]), wantedBy(e.Roles[0])
	}
	if e, ok := errors.AsType[*metadata.ImageInUseError](err); ok && len(e.Tags) > 0 {
		s.targets = e.Tags
	}
}

// resettable names the staged changes that contradict what others did; none if some
// of them are not staged.
func resettable(e *metadata.RebaseConflictError) []string {
	var names []string
	for _, c := range e.Conflicts {
		name := c.Role
		if c.Kind == "target" {
			name = c.Subject
		}
		switch {
		case !c.Staged:
			return nil
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	return names
}

// learnScope names a trust that speaks for no image yet. One that speaks for others
// is not to be widened in passing: the image may be of a host that only looks alike.
func (s *subject) learnScope(e *trust.NoScopeError) {
	s.reason, s.trust, s.source, s.scope, s.pin = e.Reason(), "", "", "", ""
	if len(e.Entries) == 0 {
		s.pin = "tufoci trust add --help"
	}
	i := slices.IndexFunc(e.Entries, func(e trust.Entry) bool { return len(e.Scopes) == 0 })
	if i < 0 {
		return
	}
	if scope, ok := e.Suggest(e.Entries[i]); ok {
		s.trust, s.source, s.scope = e.Entries[i].Name, first(e.Entries[i].Source, "--beside"), scope.String()
	}
}

// missingKeys lists who can still sign: name, start of the key id, URI, owner, and
// when the key was last at work.
func missingKeys(r metadata.RoleSignatures) string {
	var out []string
	for _, rule := range r.Rules {
		if rule.Have >= rule.Need {
			continue
		}
		for _, k := range rule.Keys {
			name := k.String()
			if !k.Signed && !slices.Contains(out, name) { // a new root has two rules
				out = append(out, name)
			}
		}
	}
	return strings.Join(out, ", ")
}

// wantedBy says what each rule wants and has.
func wantedBy(r metadata.RoleSignatures) string {
	out := make([]string, len(r.Rules))
	for i, rule := range r.Rules {
		var all, have []string
		for _, k := range rule.Keys {
			all = append(all, k.String())
			if k.Signed {
				have = append(have, first(k.Name, shorten(k.ID, 8)))
			}
		}
		out[i] = fmt.Sprintf("%s wants %d of {%s}; have: %s", rule.By, rule.Need, strings.Join(all, ", "), first(strings.Join(have, ", "), "none"))
	}
	return strings.Join(out, "; ")
}
