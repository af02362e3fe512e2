package follow

import (
	"encoding/json"

	"github.com/roomtide/roomtide/chat"
)

// A position is a JSON object: the position of each follower by its name.

func encodePositions(p map[string]string) string {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings always have a form
	}
	return string(b)
}

func decodePositions(text string) (map[string]string, error) {
	var p map[string]string
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, &chat.Error{Kind: chat.Invalid, Op: "follow.position", Text: "this is not the position of a follower", Err: err}
	}
	return p, nil
}
