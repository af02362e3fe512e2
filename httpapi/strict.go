package httpapi

import (
	"encoding/json"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/roomtide/roomtide/chat"
)

// operation is what the specification says about a route: the names that a request
// may use. A request that uses another name is refused, as it would otherwise be
// answered well and do something else than its author meant. A client that sends
// to servers of several versions asks for the opposite with "Prefer:
// handling=lenient" (RFC 7240).
type operation struct {
	query  map[string]bool            // parameters of the query
	fields map[string]bool            // members of the body
	items  map[string]map[string]bool // members of the objects in an array of the body, by the name of the array
}

// specified reads the specification, by the pattern of the route.
func specified() map[string]operation {
	var doc document
	if err := json.Unmarshal(Spec(), &doc); err != nil {
		panic(err) // it is part of the program, and tested
	}
	all := map[string]operation{}
	for path, item := range doc.Paths {
		for method, raw := range item {
			if method == "parameters" {
				continue
			}
			var op specOperation
			if err := json.Unmarshal(raw, &op); err != nil {
				panic(err)
			}
			all[strings.ToUpper(method)+" "+path] = doc.operation(&op)
		}
	}
	return all
}

// document is as much of an OpenAPI document as names what requests may say.
type document struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Parameters map[string]specParameter `json:"parameters"`
		Schemas    map[string]specSchema    `json:"schemas"`
	} `json:"components"`
}

type specOperation struct {
	Parameters  []specParameter `json:"parameters"`
	RequestBody struct {
		Content map[string]struct {
			Schema specSchema `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
}

type specParameter struct {
	Ref  string `json:"$ref"`
	Name string `json:"name"`
	In   string `json:"in"`
}

type specSchema struct {
	Ref        string                `json:"$ref"`
	Properties map[string]specSchema `json:"properties"`
	Items      *specSchema           `json:"items"`
}

func (doc *document) operation(in *specOperation) operation {
	out := operation{query: map[string]bool{}, fields: map[string]bool{}, items: map[string]map[string]bool{}}
	for _, p := range in.Parameters {
		if ref, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
			p = doc.Components.Parameters[ref]
		}
		if p.In == "query" {
			out.query[p.Name] = true
		}
	}
	schema := in.RequestBody.Content["application/json"].Schema
	if ref, ok := strings.CutPrefix(schema.Ref, "#/components/schemas/"); ok {
		schema = doc.Components.Schemas[ref]
	}
	for name, property := range schema.Properties {
		out.fields[name] = true
		if property.Items == nil {
			continue
		}
		out.items[name] = map[string]bool{}
		for item := range property.Items.Properties {
			out.items[name][item] = true
		}
	}
	return out
}

// checkQuery refuses a query parameter that the operation does not have.
func (c *call) checkQuery() error {
	if c.r.URL.RawQuery == "" {
		return nil
	}
	return c.checkNames("query parameter", maps.Keys(c.r.URL.Query()), c.op.query)
}

// checkNames refuses the first name, in order, that is not among the known ones.
func (c *call) checkNames(what string, names iter.Seq[string], known map[string]bool) error {
	for _, name := range slices.Sorted(names) {
		if !known[name] && !lenient(c.r) {
			return chat.E(chat.Invalid, "unknown "+what+" "+quoted(name))
		}
	}
	return nil
}

// lenient reports whether the client prefers that unknown names are ignored.
func lenient(r *http.Request) bool {
	handling, _ := prefers(r, "handling")
	return strings.EqualFold(handling, "lenient")
}

// prefers returns the value of a preference of the client (RFC 7240), the first one of the
// name, and whether it has the preference at all.
func prefers(r *http.Request, name string) (value string, ok bool) {
	for _, line := range r.Header.Values("Prefer") {
		for pref := range strings.SplitSeq(line, ",") {
			pref, _, _ = strings.Cut(pref, ";") // parameters
			has, value, _ := strings.Cut(pref, "=")
			if strings.EqualFold(strings.TrimSpace(has), name) {
				return strings.Trim(strings.TrimSpace(value), `"`), true
			}
		}
	}
	return "", false
}

// maxQuoted is the length up to which an answer repeats a name.
const maxQuoted = 64

// quoted is a name as an error may show it.
func quoted(name string) string {
	if len(name) > maxQuoted || chat.CheckName("name", name, maxQuoted) != nil {
		return "(one that is not shown)"
	}
	return "\"" + name + "\""
}
