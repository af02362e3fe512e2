package source

// Class is a kind of problem: what is counted, and what a setting decides about.
type Class string

// The classes. Those of a mapping as a whole are errors, and not here.
const (
	Expression Class = "expression"   // an expression of the mapping fails on this row
	NoRoom     Class = "no_room"      // no room comes of it
	NoUser     Class = "no_user"      // it has no author
	BadID      Class = "bad_id"       // the room or the user has an id that Roomtide does not take
	NoTime     Class = "no_time"      // NULL, a zero date, or none that can be read
	Future     Class = "future"       // its time is to come: is the time zone right?
	Undecoded  Class = "undecoded"    // a decoder cannot read the text
	NotText    Class = "not_text"     // bytes that are no text, also after the decoders
	Empty      Class = "empty"        // nothing to see, no data, and not deleted
	TooLong    Class = "too_long"     // longer than a message may be
	DataTooBig Class = "data_too_big" // more data than a message may have
	Twice      Class = "twice"        // the join of the mapping makes several rows of one message
)
