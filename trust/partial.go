package trust

import (
	"context"
	"slices"
)

// FilesFor returns the files that a client needs to answer the lookups of names,
// and no more: every root, timestamp, snapshot, targets, each role that the walk of
// a name visits (those that do not list it as well) and those in roles that a
// delegation still reaches, the role revocations, and the files of all reserved
// names. In the order of Files. It fails where Files does, and with
// ErrTargetNotFound for a name that nothing lists.
func (v *View) FilesFor(ctx context.Context, names, roles []string) (*FileSet, error) {
	defer v.flush(ctx)
	p := &partial{v: v, has: map[string]bool{}}
	p.add(v.set.targets)
	for _, name := range names {
		if err := p.visit(ctx, name); err != nil {
			return nil, err
		}
	}
	reserved, err := v.reserved(ctx)
	if err != nil {
		return nil, err
	}
	if v.delegatesRevocations() {
		roles = append(slices.Clone(roles), revocationsRole)
	}
	if err := p.take(ctx, roles); err != nil {
		return nil, err
	}
	fs := &FileSet{}
	if err := v.addTargets(ctx, fs, reserved); err != nil {
		return nil, err
	}
	if err := v.addMetadata(ctx, fs, p.files); err != nil {
		return nil, err
	}
	return fs, nil
}

// Visited returns the roles that the lookup of a name visits, targets first, the one
// that answers last. Errors are those of Lookup.
func (v *View) Visited(ctx context.Context, name string) ([]string, error) {
	defer v.flush(ctx)
	p := &partial{v: v, has: map[string]bool{}}
	if err := p.visit(ctx, name); err != nil {
		return nil, err
	}
	roles := make([]string, len(p.files))
	for i, file := range p.files {
		roles[i] = file.name
	}
	return roles, nil
}

// partial gathers the roles of some lookups, targets first, none before the one that
// led to it.
type partial struct {
	v     *View
	files []*roleFile
	has   map[string]bool
}

func (p *partial) add(file *roleFile) {
	if !p.has[file.name] {
		p.has[file.name] = true
		p.files = append(p.files, file)
	}
}

// visit adds the roles that the walk of a name visits, up to the one that answers.
func (p *partial) visit(ctx context.Context, name string) error {
	_, err := p.v.walk(ctx, name, p.v.role, func(file *roleFile) bool {
		p.add(file)
		_, ok := file.meta.Signed.Targets[name]
		return ok
	})
	if err != nil {
		return p.v.notFound(name, err)
	}
	return nil
}

// take adds roles by their names, with those that lead to them. One that no
// delegation reaches is passed over.
func (p *partial) take(ctx context.Context, names []string) error {
	// Mostly one that is here already leads there: the bins of one image have one
	// delegator. The list grows while it is gone through.
	for i := 0; i < len(p.files); i++ {
		for _, e := range p.v.delegations(p.files[i]) {
			if p.has[e.role] || !slices.Contains(names, e.role) {
				continue
			}
			file, err := p.v.role(ctx, e.role, roleDelegator(e.by))
			if err != nil {
				return err
			}
			p.add(file)
		}
	}
	left := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return p.has[name] || metaOf(p.v.set.snapshot, name) == nil
	})
	if len(left) == 0 {
		return nil
	}
	all, err := p.v.reach(ctx)
	if err != nil {
		return err
	}
	byName := map[string]*reached{}
	for _, r := range all {
		byName[r.name] = r
	}
	for _, name := range left {
		if err := p.climb(byName, name); err != nil {
			return err
		}
	}
	return nil
}

// climb adds a role and, before it, what leads to it.
func (p *partial) climb(byName map[string]*reached, name string) error {
	r := byName[name]
	if r == nil || p.has[name] {
		return nil
	}
	if r.file == nil {
		return r.err
	}
	// What first reached a role was reached before it, so this ends at targets.
	if err := p.climb(byName, r.edges[0].by.name); err != nil {
		return err
	}
	p.add(r.file)
	return nil
}
