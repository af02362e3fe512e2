// Package readme runs what README.md and README.zh-CN.md print: every command as it
// stands there, in a fresh copy of the tree, behind nginx with TLS as the steps say,
// with PHP for the samples of the site. The blocks of the browser are those of
// test/browser. It also holds what "make run" needs on a machine without Go.
package readme
