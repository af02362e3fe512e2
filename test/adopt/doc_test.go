// Package adopt moves a live chat in a MariaDB table into Roomtide, with the real programs,
// and kills them while both sides write.
package adopt
