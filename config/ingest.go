package config

import (
	"strconv"
	"strings"
)

// Ingest says from which queues messages are read.
type Ingest struct {
	Redis IngestRedis `toml:"redis" embed:"" prefix:"redis-" group:"Messages from queues"`
	NATS  IngestNATS  `toml:"nats" embed:"" prefix:"nats-" group:"Messages from queues"`
}

// IngestRedis are queues in Redis.
type IngestRedis struct {
	URL          string `toml:"url" name:"url" default:"" mask:"dsn" placeholder:"URL" help:"Redis (7.0 or later) or Valkey in which list and stream are. Empty: the one of redis. Who may write there may send as every user."`
	PasswordFile string `toml:"password_file" placeholder:"FILE" default:"" help:"File that holds the password for it, instead of the URL."`
	List         string `toml:"list" default:"" placeholder:"KEY" help:"List whose elements are messages as POST /v1/messages takes them, such as roomtide:send. All nodes need the same. Empty: none."`
	Stream       string `toml:"stream" default:"" placeholder:"KEY" help:"Stream whose entries have such a message in the field json. What was sent is deleted from it. Empty: none."`
}

// IngestNATS are queues in the JetStream of the NATS servers of [nats].
type IngestNATS struct {
	Subjects []string `toml:"subjects" default:"" help:"Subjects on which programs of yours publish messages as POST /v1/messages takes them, such as roomtide.send. Who may publish there may send as every user. Empty: none."`
	Stream   string   `toml:"stream" default:"roomtide_ingest" help:"Stream that keeps them until they are sent. A node makes it if there is none."`
}

// maxQueueName is the length of names of queues, which are a part of keys of messages.
const maxQueueName = 64

// IngestRedisURL returns the address of the Redis with queues, with the password in it,
// which is not to be shown; "" if there are no queues in Redis.
func (c *Config) IngestRedisURL() (string, error) {
	r := &c.Ingest.Redis
	if r.List == "" && r.Stream == "" {
		if r.URL != "" {
			return "", Problems{{"ingest.redis.url", "there is neither a list nor a stream to read", "set ingest.redis.list or ingest.redis.stream, or take it out"}}
		}
		return "", nil
	}
	if r.URL == "" && r.PasswordFile == "" {
		address, err := c.RedisURL()
		if err == nil && address == "" {
			err = Problems{{"ingest.redis", "there is no Redis for it", "set ingest.redis.url, or redis"}}
		}
		return address, err
	}
	return redisURL("ingest.redis.url", r.URL, "ingest.redis.password_file", r.PasswordFile)
}

// checkIngest reports what is wrong with [ingest].
func (c *Config) checkIngest() (ps Problems) {
	if _, err := c.IngestRedisURL(); err != nil {
		ps = append(ps, err.(Problems)...)
	}
	r, n := &c.Ingest.Redis, &c.Ingest.NATS
	if r.List != "" && r.List == r.Stream {
		ps = append(ps, Problem{"ingest.redis.stream", "it is the list as well", "a key is a list or a stream: name two"})
	}
	for key, name := range map[string]string{"ingest.redis.list": r.List, "ingest.redis.stream": r.Stream, "ingest.nats.stream": n.Stream} {
		if len(name) > maxQueueName {
			ps = append(ps, Problem{key, "it is longer than " + strconv.Itoa(maxQueueName) + " bytes", "choose a shorter name"})
		}
	}
	if len(n.Subjects) == 0 {
		return ps
	}
	if !c.Cluster() {
		ps = append(ps, Problem{"ingest.nats.subjects", "there is no NATS", "set nats.url or nats.embedded, or take it out"})
	}
	if n.Stream == "" || strings.ContainsAny(n.Stream, ".*> \t\r\n/\\") {
		ps = append(ps, Problem{"ingest.nats.stream", strconv.Quote(n.Stream) + " is no name of a stream", "write one such as roomtide_ingest"})
	}
	for _, subject := range n.Subjects {
		if strings.ContainsAny(subject, " \t\r\n") || strings.HasPrefix(subject, ".") || strings.HasSuffix(subject, ".") || strings.Contains(subject, "..") {
			ps = append(ps, Problem{"ingest.nats.subjects", strconv.Quote(subject) + " is no subject", "write one such as roomtide.send"})
		}
	}
	return ps
}
