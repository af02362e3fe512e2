package store

// MaxFindings bounds the answer of Driver.Check: one fault can show in every row.
const MaxFindings = 100

// Findings are what Driver.Check has found, one line each; behind MaxFindings lines
// there is one that says so.
type Findings []string

// Add adds a line if there is space.
func (f *Findings) Add(line string) {
	switch {
	case len(*f) < MaxFindings:
		*f = append(*f, line)
	case len(*f) == MaxFindings:
		*f = append(*f, "and more")
	}
}
