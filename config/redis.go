package config

import (
	"net/url"
	"strconv"
	"strings"
)

const formOfRedis = "write redis://user:password@host:6379/0, or rediss:// with TLS; in the password, write / as %2F, ? as %3F, # as %23, % as %25, or use a password file"

// RedisURL returns the setting redis with the password in it, which is not to be shown;
// "" if there is no Redis.
func (c *Config) RedisURL() (string, error) {
	return redisURL("redis", c.Redis, "redis_password_file", c.RedisPasswordFile)
}

// redisURL returns the address of a Redis server, the value of a setting, with the
// password in it; "" if there is none.
func redisURL(key, address, fileKey, file string) (string, error) {
	if address == "" {
		if file != "" {
			return "", Problems{{fileKey, "it has no effect without " + key, "set " + key + ", or take it out"}}
		}
		return "", nil
	}
	u, err := url.Parse(address) // the error would show the password
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" {
		return "", Problems{{key, "it is not the URL of a Redis server", formOfRedis}}
	}
	if n, err := strconv.ParseUint(strings.TrimPrefix(u.Path, "/"), 10, 16); len(u.Path) > 1 && (err != nil || n > 65535) {
		return "", Problems{{key, strconv.Quote(u.Path[1:]) + " is not the number of a database", formOfRedis}}
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return "", Problems{{key, "there is something behind the database", formOfRedis}}
	}
	if file != "" {
		if _, inside := u.User.Password(); inside {
			return "", Problems{{key, "it has a password, and " + fileKey + " has one as well", "keep one of them"}}
		}
		password, problem := readPassword(fileKey, file)
		if problem != nil {
			return "", Problems{*problem}
		}
		u.User = url.UserPassword(u.User.Username(), password)
	}
	return u.String(), nil
}

func (c *Config) checkRedis() Problems {
	if _, err := c.RedisURL(); err != nil {
		return err.(Problems)
	}
	return nil
}
