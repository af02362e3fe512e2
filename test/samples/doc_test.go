// Package samples checks the apps of examples/ as far as that is possible without the kits of
// Apple and Google: Kotlin is compiled by its own compiler against what the app uses of
// Android, Swift is parsed, and what the manifest names is there.
package samples
