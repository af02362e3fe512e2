// Package matrix asks a running node for everything that a user or an API key can
// ask for, in every situation, over every transport, and writes the answers into
// docs/permissions.md, which is for readers: a change of permissions is a change of
// that file. With -update it is written, otherwise compared.
package matrix
