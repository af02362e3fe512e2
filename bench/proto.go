package bench

import (
	"bytes"
	"fmt"
	"strconv"
)

// proto is the protocol of a load. Commands and frames of the server hold the same
// objects in both; what encloses them differs.
type proto interface {
	path() string
	// hello authenticates the connection, after the upgrade.
	hello(c *conn, user string) error
	// appendCommand appends a command. fields are the inside of its object and
	// never empty.
	appendCommand(dst []byte, name string, id int64, fields []byte) []byte
	// parse finds the object in a message of the server, without decoding it.
	parse(p []byte) frame
}

// frame is one frame of the server. object is nil for frames that the load ignores.
type frame struct {
	reply  bool  // an ack or an error that answers command id
	id     int64 // of a reply
	object []byte
}

// protos are the values of --proto.
var protos = map[string]proto{"native": nativeProto{}, "socketio": socketProto{}}

// nativeProto is a JSON object in each text message.
type nativeProto struct{}

func (nativeProto) path() string { return "/ws" }

func (nativeProto) hello(c *conn, user string) error {
	if err := c.command("hello", 1, `"user":"`+user+`"`); err != nil {
		return err
	}
	_, err := c.answer(1)
	return err
}

func (nativeProto) appendCommand(dst []byte, name string, id int64, fields []byte) []byte {
	dst = append(append(append(dst, `{"type":"`...), name...), `","id":`...)
	dst = append(strconv.AppendInt(dst, id, 10), ',')
	return append(append(dst, fields...), '}')
}

func (nativeProto) parse(p []byte) frame {
	for _, head := range []string{`{"type":"ack","id":`, `{"type":"error","id":`} {
		if len(p) > len(head) && string(p[:len(head)]) == head {
			return frame{reply: true, id: number(p, head), object: p}
		}
	}
	return frame{object: p}
}

// socketProto is Socket.IO over WebSocket, as its clients of version 3 and 4
// speak it.
type socketProto struct{}

func (socketProto) path() string { return "/socket.io/?EIO=4&transport=websocket" }

func (socketProto) hello(c *conn, user string) error {
	for _, step := range []struct{ wait, say string }{{wait: "0{", say: `40{"user":"` + user + `"}`}, {wait: "40{"}} {
		p, err := c.message()
		if err == nil && !bytes.HasPrefix(p, []byte(step.wait)) {
			err = fmt.Errorf("the server said %.100q", p)
		}
		if err == nil && step.say != "" {
			err = c.write(appendFrame(nil, opText, []byte(step.say)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (socketProto) appendCommand(dst []byte, name string, id int64, fields []byte) []byte {
	dst = strconv.AppendInt(append(dst, "42"...), id, 10)
	dst = append(append(append(dst, `["`...), name...), `",{`...)
	return append(append(dst, fields...), `}]`...)
}

func (socketProto) parse(p []byte) (f frame) {
	head, mark := 2, ","
	switch {
	case bytes.HasPrefix(p, []byte("43")):
		for ; head < len(p) && '0' <= p[head] && p[head] <= '9'; head++ {
			f.id = f.id*10 + int64(p[head]-'0')
		}
		f.reply, mark = true, "["
	case !bytes.HasPrefix(p, []byte(`42["`)), bytes.HasPrefix(p, []byte(`42["hello"`)):
		return f
	}
	if i := bytes.Index(p[head:], []byte(mark)); i >= 0 {
		f.object = p[head+i+1 : len(p)-1]
	}
	if bytes.HasSuffix(f.object, []byte{'"'}) { // an offset follows the object
		f.object = f.object[:bytes.LastIndex(f.object, []byte(`},"`))+1]
	}
	return f
}
