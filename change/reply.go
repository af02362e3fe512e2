package change

import (
	"errors"
	"strconv"

	"github.com/roomtide/roomtide/chat"
)

// Reply is what came of a change. The doc comment of each type of change says
// which fields are set.
type Reply struct {
	Seq      chat.Seq    // of the message
	Rev      chat.Rev    // the change's, or what stands already
	Time     int64       // Unix milliseconds
	Repeated bool        // the key was known: this is the first attempt's reply
	Created  bool        // the room was made
	Changed  bool        // there was something to do
	Room     chat.Room   // as it is now
	Member   chat.Member // as it is now
	Read     chat.Seq    // the user's read mark as it is now
	User     chat.User   // as it is now
	Imported []ImportReply
}

func (r *Reply) fields(f *coder) {
	number(f, 1, &r.Seq)
	number(f, 2, &r.Rev)
	number(f, 3, &r.Time)
	flag(f, 4, &r.Repeated)
	flag(f, 5, &r.Created)
	flag(f, 6, &r.Changed)
	nested(f, 7, &r.Room, roomFields)
	nested(f, 8, &r.Member, memberFields)
	number(f, 9, &r.Read)
	nested(f, 10, &r.User, userFields)
	repeated(f, 11, &r.Imported, MaxImported, (*ImportReply).fields)
}

func roomFields(r *chat.Room, f *coder) {
	text(f, 1, &r.ID)
	text(f, 2, &r.Title)
	flag(f, 3, &r.Open)
	flag(f, 4, &r.ReadOnly)
	number(f, 5, &r.LastSeq)
	number(f, 6, &r.Rev)
	number(f, 7, &r.InfoRev)
	number(f, 8, &r.Members)
	number(f, 9, &r.Created)
	number(f, 10, &r.Active)
	flag(f, 11, &r.Archived)
	flag(f, 12, &r.Deleted)
	text(f, 13, &r.Topic)
	text(f, 14, &r.Avatar)
	text(f, 15, &r.Data)
	number(f, 16, &r.Floor)
}

func memberFields(m *chat.Member, f *coder) {
	text(f, 1, &m.Room)
	text(f, 2, &m.User)
	text(f, 3, &m.Name)
	number(f, 4, &m.Role)
	number(f, 5, &m.Rev)
	number(f, 6, &m.Since)
	text(f, 7, &m.Avatar)
	text(f, 8, &m.Data)
	number(f, 9, &m.Until)
}

func userFields(u *chat.User, f *coder) {
	text(f, 1, &u.ID)
	text(f, 2, &u.Name)
	text(f, 3, &u.Avatar)
	text(f, 4, &u.Data)
	number(f, 5, &u.Named)
}

// failure is a chat.Error as bytes. The cause, which is for the log, is its text.
type failure struct {
	chat.Error
	cause string
}

func (e *failure) fields(f *coder) {
	number(f, 1, &e.Kind)
	text(f, 2, &e.Op)
	text(f, 3, &e.Subject)
	text(f, 4, &e.Text)
	number(f, 5, &e.RetryAfter)
	text(f, 6, &e.cause)
}

// outcome is a reply or an error.
type outcome struct {
	reply Reply
	err   *failure
}

func (o *outcome) fields(f *coder) {
	nested(f, 1, &o.reply, (*Reply).fields)
	message(f, 2, &o.err, (*failure).fields)
}

// AppendReply appends the bytes of what a Done received: the reply, or the error.
// An error that is no chat.Error becomes one, of the kind Internal.
func AppendReply(dst []byte, r *Reply, err error) []byte {
	f, o := &coder{out: dst}, &outcome{}
	if err == nil {
		o.reply = *r
	} else {
		o.err = failureOf(err)
	}
	o.fields(f)
	return f.out
}

func failureOf(err error) *failure {
	var e *chat.Error
	if !errors.As(err, &e) {
		return &failure{chat.Error{Kind: chat.Internal}, err.Error()}
	}
	f := &failure{Error: *e}
	if e.Err != nil {
		f.cause, f.Err = e.Err.Error(), nil
	}
	return f
}

// DecodeReply returns what AppendReply was given: errors are *chat.Error, with the
// text of the cause. Bytes that are no outcome are an error of the kind Internal.
// Nothing of b is kept.
func DecodeReply(b []byte) (Reply, error) {
	var o outcome
	err := error(chat.E(chat.TooLarge, "the reply is larger than "+strconv.Itoa(MaxBytes)+" bytes"))
	if len(b) <= MaxBytes {
		err = read(b, o.fields)
	}
	if err != nil {
		return Reply{}, chat.Wrap(chat.Internal, "change.reply", err)
	}
	if o.err == nil {
		return o.reply, nil
	}
	e := o.err.Error
	if o.err.cause != "" {
		e.Err = errors.New(o.err.cause)
	}
	return Reply{}, &e
}
