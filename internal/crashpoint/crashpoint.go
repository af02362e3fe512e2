// Package crashpoint ends the process at named places in the code, so that a
// test can ask what survives a crash exactly there. Built without the tag
// "crashpoints", as every release is, Hit does nothing and costs nothing.
//
// Built with the tag, the environment variable ROOMTIDE_CRASH names a point and
// a number, "before-ack:17": the 17th time that point is passed the process
// sends itself SIGKILL. No deferred call runs and no buffer is flushed.
//
// The points are before-commit, after-commit, before-ack and after-ack in the lane, those
// of package mover, which begin with "move-", those of package notify, which begin with
// "push-", those of package webhook, which begin with "webhook-" but for
// before-message-answered, mirror-written, adopt-imported and adopt-applied in package
// adopt, and import-committed in package transfer.
package crashpoint
