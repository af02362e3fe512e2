package lane

import "github.com/roomtide/roomtide/change"

// rule is what a lane does with one kind of change.
type rule struct {
	// need adds the rows that the change depends on, unless the batch has them.
	need func(*batch, change.Change)

	// apply decides the change. It checks everything before it changes anything,
	// so that a change that fails leaves no trace in the batch.
	apply func(*batch, change.Change) (change.Reply, error)
}

// rules is the one place where changes are dispatched by their type. The methods
// are in the file named after the verb.
var rules = [change.Kinds]rule{
	change.KindNop:        ruleOf((*batch).needNop, (*batch).applyNop),
	change.KindSend:       ruleOf((*batch).needSend, (*batch).applySend),
	change.KindEdit:       ruleOf((*batch).needEdit, (*batch).applyEdit),
	change.KindDelete:     ruleOf((*batch).needDelete, (*batch).applyDelete),
	change.KindReact:      ruleOf((*batch).needReact, (*batch).applyReact),
	change.KindJoin:       ruleOf((*batch).needJoin, (*batch).applyJoin),
	change.KindLeave:      ruleOf((*batch).needLeave, (*batch).applyLeave),
	change.KindSetMember:  ruleOf((*batch).needSetMember, (*batch).applySetMember),
	change.KindSetRoom:    ruleOf((*batch).needSetRoom, (*batch).applySetRoom),
	change.KindRead:       ruleOf((*batch).needRead, (*batch).applyRead),
	change.KindProject:    ruleOf((*batch).needProject, (*batch).applyProject),
	change.KindOnline:     ruleOf((*batch).needOnline, (*batch).applyOnline),
	change.KindCursors:    ruleOf((*batch).needCursors, (*batch).applyCursors),
	change.KindSetUser:    ruleOf((*batch).needSetUser, (*batch).applySetUser),
	change.KindRename:     ruleOf((*batch).needRename, (*batch).applyRename),
	change.KindDeleteRoom: ruleOf((*batch).needDeleteRoom, (*batch).applyDeleteRoom),
	change.KindRemoveRoom: ruleOf((*batch).needRemoveRoom, (*batch).applyRemoveRoom),
	change.KindAccess:     ruleOf((*batch).needAccess, (*batch).applyAccess),
	change.KindImport:     ruleOf((*batch).needImport, (*batch).applyImport),
	change.KindConnected:  ruleOf((*batch).needConnected, (*batch).applyConnected),

	change.KindRegisterDevice: ruleOf((*batch).needRegisterDevice, (*batch).applyRegisterDevice),
	change.KindDropDevice:     ruleOf((*batch).needDropDevice, (*batch).applyDropDevice),
	change.KindClaimAddress:   ruleOf((*batch).needClaimAddress, (*batch).applyClaimAddress),
	change.KindSetPush:        ruleOf((*batch).needSetPush, (*batch).applySetPush),
	change.KindNotify:         ruleOf((*batch).needNotify, (*batch).applyNotify),
	change.KindPushed:         ruleOf((*batch).needPushed, (*batch).applyPushed),
}

func ruleOf[C change.Change](need func(*batch, C), apply func(*batch, C) (change.Reply, error)) rule {
	return rule{
		need:  func(b *batch, c change.Change) { need(b, c.(C)) },
		apply: func(b *batch, c change.Change) (change.Reply, error) { return apply(b, c.(C)) },
	}
}

func (b *batch) need(c change.Change) { rules[c.Kind()].need(b, c) }

func (b *batch) apply(c change.Change) (change.Reply, error) { return rules[c.Kind()].apply(b, c) }
