package trust

// LevelStrict is the level of a Notation policy that verifies, and the least one of a
// trust that names none.
const LevelStrict = "strict"

// Required is what an image must have: Require, or both if that is empty.
func (e Entry) Required() []string {
	if len(e.Require) == 0 {
		return []string{RequireMapping, RequireSignature}
	}
	return e.Require
}

// Level is MinLevel, or strict if that is empty.
func (e Entry) Level() string {
	if e.MinLevel == "" {
		return LevelStrict
	}
	return e.MinLevel
}
