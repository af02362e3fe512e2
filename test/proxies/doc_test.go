// Package proxies starts nginx, Apache, Caddy and HAProxy with the samples of
// docs/proxies.md in front of a node, and puts every transport through them.
package proxies
