package config

import "time"

// Modes of Queue.
const (
	QueueOff      = "off"
	QueueOverflow = "overflow"
	QueueAlways   = "always"
)

// Queue says whether changes that their database cannot take now wait in a queue.
type Queue struct {
	Mode     string   `toml:"mode" words:"off,overflow,always" default:"off" help:"A durable queue in the JetStream of the NATS servers, for changes that the database of their room cannot take now: off, overflow (what has no outcome soon waits there, and is not refused) or always (everything goes through it)."`
	After    Duration `toml:"after" default:"250ms" help:"Without an outcome, after which a change goes to the queue. For overflow."`
	MiB      int      `toml:"mib" name:"mib" default:"1024" help:"What the queue holds at most, in MiB. The NATS servers reserve it on their disks, those of all nodes and the witness with embedded. When it is full, changes are answered busy."`
	Replicas int      `toml:"replicas" default:"0" help:"NATS servers that have each entry of the queue: 1, 3 or 5. 0: 3 where there are as many, else 1."`
}

// checkQueue reports what is wrong with [queue].
func (c *Config) checkQueue() Problems {
	q := &c.Queue
	var ps Problems
	if q.Mode != QueueOff && !c.Cluster() {
		ps = append(ps, Problem{"queue.mode", "there is no NATS for the queue", "set nats.url or nats.embedded, or take queue.mode out"})
	}
	if after := time.Duration(q.After); after < 50*time.Millisecond || after > 5*time.Second {
		ps = append(ps, Problem{"queue.after", "it is " + q.After.String(), "give 50ms to 5s"})
	}
	switch q.Replicas {
	case 0, 1, 3, 5:
		if c.NATS.Embedded && q.Replicas > max(1, len(c.NATS.Routes)) {
			ps = append(ps, Problem{"queue.replicas", "it is more than there are servers in nats.routes", "lower it, or list all servers"})
		}
	default:
		ps = append(ps, Problem{"queue.replicas", "it is no number of servers that can decide", "give 1, 3 or 5, or 0 for as many as there are"})
	}
	return append(ps, c.checkQueueSize()...)
}

func (c *Config) checkQueueSize() Problems {
	if c.Queue.MiB < 16 {
		return Problems{{"queue.mib", "it is less than 16", "give 16 or more"}}
	}
	return nil
}
