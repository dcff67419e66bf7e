package material

// SignatureType is the type of manifests with signatures (Notary Project signature
// specification, "Storage"): as the media type of the config, or as the artifact type.
const SignatureType = "application/vnd.cncf.notary.signature"
