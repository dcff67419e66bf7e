package cli

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/mirror"
)

// documents are the results that each command prints as JSON.
var documents = map[string][]result{
	"mirror save":       {&mirrorSaveResult{}},
	"mirror load":       {&mirrorLoadResult{}},
	"mirror sync once":  {&mirrorSyncResult{}},
	"mirror sync check": {&mirrorSyncResult{}},
	"attach":            {&attachResult{}},
	"discover":          {&discoverResult{}},
	"refresh":           {&refreshResult{}},
	"check":             {&checkResult{}},
	"init":              {&initResult{}, &adoptResult{}, &initDCTResult{}},
	"doctor":            {&doctorResult{}},
	"log":               {&logResult{}},
	"prune":             {&pruneResult{}},
	"rollback":          {&rollbackResult{}},
	"key generate":      {&keyResult{}},
	"key import":        {&keyResult{}},
	"key add":           {&keyResult{}},
	"key show":          {&keyResult{}},
	"key rm":            {&keyResult{}},
	"key list":          {&keyListResult{}},
	"key test":          {&keyTestResult{}},
	"role list":         {&roleListResult{}},
	"role show":         {&roleResult{}},
	"role set":          {&roleSetResult{}},
	"role add":          {&roleAddResult{}},
	"rotate key":        {&rotateResult{}},
	"rotate online":     {&rotateResult{}},
	"target add":        {&targetChangeResult{}},
	"target rm":         {&targetChangeResult{}},
	"target list":       {&targetListResult{}},
	"target show":       {&targetResult{}},
	"image add":         {&imageChangeResult{}, &imageAddDCTResult{}},
	"image rm":          {&imageChangeResult{}},
	"image list":        {&imageListResult{}},
	"image sync":        {&imageSyncResult{}},
	"revoke image":      {&revokeResult{}},
	"revoke cert":       {&revokeResult{}},
	"cert add":          {&certChangeResult{}},
	"cert rm":           {&certChangeResult{}},
	"cert list":         {&certListResult{}},
	"cert show":         {&certResult{}},
	"crl add":           {&crlChangeResult{}},
	"crl list":          {&crlListResult{}},
	"crl refresh":       {&crlRefreshResult{}},
	"crl rm":            {&targetChangeResult{}},
	"policy set":        {&targetChangeResult{}},
	"policy show":       {&policyResult{}},
	"policy lint":       {&policyLintResult{}},
	"status":            {&statusResult{}},
	"diff":              {&diffResult{}},
	"reset":             {&resetResult{}},
	"sign":              {&signResult{}},
	"payload":           {&payloadResult{}},
	"sign-payload":      {&signPayloadResult{}},
	"add-signature":     {&signResult{}},
	"ceremony start":    {&ceremonyResult{}},
	"ceremony review":   {&ceremonyReviewResult{}},
	"ceremony sign":     {&ceremonyResult{}},
	"ceremony add":      {&ceremonyResult{}},
	"ceremony status":   {&ceremonyResult{}},
	"ceremony apply":    {&ceremonyResult{}},
	"ceremony abort":    {&ceremonyAbortResult{}},
	"ceremony runbook":  {&ceremonyRunbookResult{}},
	"publish":           {&publishResult{}, &proposeResult{}},
	"trust add":         {&trustAddResult{}},
	"trust list":        {&trustListResult{}},
	"trust show":        {&trustShowResult{}},
	"trust rm":          {&trustRemoveResult{}},
	"trust update":      {&trustUpdateResult{}},
	"trust sync":        {&trustSyncResult{}},
	"trust export":      {&trustExportResult{}},
	"verify":            {&verifyResult{}},
	"resolve":           {&resolveResult{}},
	"get":               {&getResult{}},
	"ls":                {&lsResult{}},
	"inspect":           {&inspectResult{}, &inspectRoleResult{}},
	"mirror copy":       {&mirrorResult{}},
	"serve":             {&serveResult{}},
	"demo":              {&demoResult{}},
	"login":             {&loginResult{}},
	"logout":            {&loginResult{}},
	"version":           {&versionResult{}},
	"completion":        {&completionResult{}},
}

var (
	docHeading = regexp.MustCompile("^##+ (.*)$")
	docCommand = regexp.MustCompile("`tufoci ([a-z -]+)`")
	docMember  = regexp.MustCompile("^\\| `([^`]+)` \\| ([^|]+) \\|")
)

// docs/json.md lists exactly the members that each command prints, with their
// types.
func TestDocumentedMembers(t *testing.T) {
	t.Parallel()
	documented := readJSONDoc(t)
	every := documented["object Every document"]
	if len(every) != 1 {
		t.Fatal("docs/json.md lacks the members that all documents have")
	}
	compare(t, "every document", every[0], members(reflect.TypeFor[document]()))
	for object, name := range objects {
		if len(documented["object "+name]) != 1 {
			t.Errorf("%s: %d tables in docs/json.md, want 1", name, len(documented["object "+name]))
			continue
		}
		compare(t, name, documented["object "+name][0], members(object))
	}
	for command, results := range documents {
		tables := documented[command]
		if len(tables) != len(results) {
			t.Errorf("%s: %d tables in docs/json.md, want %d", command, len(tables), len(results))
			continue
		}
		for i, r := range results {
			compare(t, command, tables[i], members(reflect.TypeOf(r).Elem()))
		}
	}
}

// Every command that can be run has its documents above, and so in the doc.
func TestEveryCommandHasADocument(t *testing.T) {
	t.Parallel()
	root := newApp(World{}).newRoot()
	for _, cmd := range allCommands(root) {
		name := strings.TrimPrefix(cmd.CommandPath(), "tufoci ")
		if cmd.HasSubCommands() || cmd.Hidden || !cmd.HasParent() || isHelp(cmd) {
			continue
		}
		if len(documents[name]) == 0 {
			t.Errorf("%s has no document", name)
		}
	}
}

func isHelp(cmd *cobra.Command) bool { return cmd.Name() == "help" }

// readJSONDoc returns the tables of each section: member to type.
func readJSONDoc(t *testing.T) map[string][]map[string]string {
	t.Helper()
	data, err := os.ReadFile("../../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string][]map[string]string{}
	var sections []string
	var table map[string]string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		if m := docHeading.FindStringSubmatch(line); m != nil {
			sections = []string{"object " + m[1]}
			if commands := docCommand.FindAllStringSubmatch(m[1], -1); commands != nil {
				sections = nil
				for _, c := range commands {
					sections = append(sections, c[1])
				}
			}
		}
		m := docMember.FindStringSubmatch(line)
		if m == nil {
			table = keepTable(line, table)
			continue
		}
		if table == nil {
			table = map[string]string{}
			for _, s := range sections {
				tables[s] = append(tables[s], table)
			}
		}
		if table[m[1]] != "" {
			t.Errorf("%v: %s is listed twice", sections, m[1])
		}
		table[m[1]] = strings.TrimSpace(m[2])
	}
	return tables
}

// keepTable ends a table at the first line that is not of it.
func keepTable(line string, table map[string]string) map[string]string {
	if strings.HasPrefix(line, "|") {
		return table
	}
	return nil
}

func compare(t *testing.T, what string, documented, real map[string]string) {
	t.Helper()
	for name, kind := range real {
		if documented[name] != kind {
			t.Errorf("%s: %s is %s, documented as %q", what, name, kind, documented[name])
		}
	}
	for name := range documented {
		if real[name] == "" {
			t.Errorf("%s: %s is documented and does not exist", what, name)
		}
	}
}

// objects are the structs that have a section of their own.
var objects = map[reflect.Type]string{
	reflect.TypeFor[keySeen]():                 "key seen",
	reflect.TypeFor[keyDrill]():                "key drill",
	reflect.TypeFor[imageCopy]():               "image copy",
	reflect.TypeFor[mirrorSync]():              "mirror",
	reflect.TypeFor[mirror.Receipt]():          "receipt",
	reflect.TypeFor[mirror.ReceiptRoot]():      "receipt root",
	reflect.TypeFor[mirror.ReceiptArchive]():   "receipt archive",
	reflect.TypeFor[mirror.ReceiptRole]():      "receipt role",
	reflect.TypeFor[mirror.ReceiptImage]():     "receipt image",
	reflect.TypeFor[mirror.ReceiptSignature](): "receipt signature",
	reflect.TypeFor[mirror.End]():              "end",
	reflect.TypeFor[errorReport]():             "error",
	reflect.TypeFor[fork]():                    "fork",
	reflect.TypeFor[keyInfo]():                 "key",
	reflect.TypeFor[keyRef]():                  "key reference",
	reflect.TypeFor[roleInfo]():                "role",
	reflect.TypeFor[roleStatus]():              "role status",
	reflect.TypeFor[roleDiff]():                "role diff",
	reflect.TypeFor[change]():                  "change",
	reflect.TypeFor[roleSignatures]():          "role signatures",
	reflect.TypeFor[signatureRule]():           "signature rule",
	reflect.TypeFor[payloadInfo]():             "payload",
	reflect.TypeFor[rolePayload]():             "role payload",
	reflect.TypeFor[ceremonyInfo]():            "ceremony",
	reflect.TypeFor[ceremonyBase]():            "base of a ceremony",
	reflect.TypeFor[openCeremony]():            "open ceremony",
	reflect.TypeFor[roleChange]():              "role change",
	reflect.TypeFor[sentBlob]():                "blob",
	reflect.TypeFor[published]():               "publication",
	reflect.TypeFor[rebasedRole]():             "role made again",
	reflect.TypeFor[waitingRole]():             "waiting role",
	reflect.TypeFor[besideCopy]():              "copy beside",
	reflect.TypeFor[roleHealth]():              "role health",
	reflect.TypeFor[besideState]():             "state beside",
	reflect.TypeFor[overwritten]():             "overwritten",
	reflect.TypeFor[prunedTag]():               "history tag",
	reflect.TypeFor[clientHealth]():            "client",
	reflect.TypeFor[historyBundle]():           "bundle",
	reflect.TypeFor[versionChange]():           "version change",
	reflect.TypeFor[targetEntry]():             "target",
	reflect.TypeFor[verifiedTarget]():          "verified target",
	reflect.TypeFor[publishedInfo]():           "published",
	reflect.TypeFor[trustInfo]():               "trust",
	reflect.TypeFor[trustUpdate]():             "trust update",
	reflect.TypeFor[roleVersion]():             "role version",
	reflect.TypeFor[inspectRole]():             "inspected role",
	reflect.TypeFor[demoCommand]():             "demo command",
	reflect.TypeFor[reading]():                 "reading",
	reflect.TypeFor[imageReport]():             "image report",
	reflect.TypeFor[verdictReport]():           "verdict",
	reflect.TypeFor[mappingReport]():           "mapping",
	reflect.TypeFor[signatureReport]():         "signature",
	reflect.TypeFor[certificateReport]():       "certificate",
	reflect.TypeFor[crlReport]():               "crl",
	reflect.TypeFor[checkReport]():             "check",
	reflect.TypeFor[imageEntry]():              "image",
	reflect.TypeFor[planTag]():                 "tag",
	reflect.TypeFor[movedTag]():                "moved tag",
	reflect.TypeFor[skippedTag]():              "skipped tag",
	reflect.TypeFor[revokedImage]():            "revoked image",
	reflect.TypeFor[revokedCertificate]():      "revoked certificate",
	reflect.TypeFor[syncChange]():              "sync change",
	reflect.TypeFor[certFile]():                "certificate file",
	reflect.TypeFor[storeCert]():               "store certificate",
	reflect.TypeFor[crlFile]():                 "crl file",
	reflect.TypeFor[crlRefreshed]():            "refreshed crl",
	reflect.TypeFor[attachment]():              "attachment",
	reflect.TypeFor[foundBundle]():             "found bundle",
	reflect.TypeFor[referrer]():                "referrer",
	reflect.TypeFor[finding]():                 "finding",
	reflect.TypeFor[lintFinding]():             "lint finding",
	reflect.TypeFor[dctRepository]():           "content trust",
	reflect.TypeFor[dctKey]():                  "content trust key",
	reflect.TypeFor[leftTag]():                 "left tag",
	reflect.TypeFor[doctorCheck]():             "doctor check",
	reflect.TypeFor[proposal]():                "proposal",
	reflect.TypeFor[proposedRole]():            "proposed role",
}

// members lists the JSON members of a struct with their types. The objects that
// it embeds are one member, "*".
func members(t reflect.Type) map[string]string {
	out := map[string]string{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && objects[f.Type] != "":
			out["*"] = strings.TrimPrefix(out["*"]+", "+objects[f.Type], ", ")
		case name != "":
			out[name] = typeName(f.Type)
		}
	}
	return out
}

func typeName(t reflect.Type) string {
	switch {
	case objects[t] != "":
		return objects[t]
	case t == reflect.TypeFor[moment](), t == reflect.TypeFor[time.Time]():
		return "time"
	case t == reflect.TypeFor[json.RawMessage]():
		return "any"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem()) + " or null"
	case reflect.Slice, reflect.Array:
		return "list of " + typeName(t.Elem())
	case reflect.Map:
		return "object of " + typeName(t.Elem())
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64:
		return "number"
	default:
		return "undocumented " + t.String()
	}
}
