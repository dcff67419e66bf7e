// Package notationdir writes the material of trusts into the directories that the
// stock notation command reads, so that no reader ever sees a mixture of two
// generations: certificates first, under store names that no older policy names,
// CRLs next, the policy last.
package notationdir
