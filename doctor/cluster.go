package doctor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/server"
)

const (
	clockApart = time.Second            // by which the clocks of nodes may differ
	natsFar    = 100 * time.Millisecond // to NATS and back, which each message takes twice

	monitorPort     = "8222" // where NATS servers are asked about themselves, unless they are told otherwise
	monitorPatience = 2 * time.Second
)

// cluster looks at what nodes share: NATS, its JetStream, and each other.
func (e *examination) cluster() {
	if !e.cfg.Cluster() || len(e.cfg.Check()) > 0 { // the settings have told
		return
	}
	if e.cfg.NATS.Embedded {
		e.embedded()
		return
	}
	seen := server.LookAtCluster(e.ctx, e.cfg, e.Version)
	if seen.Err != nil {
		e.add(Fail, "nats", reason(seen.Err), "nodes do not start without it, and those that run hear nothing of each other")
		return
	}
	e.ok("nats", "%s answers, version %s", seen.Server, seen.Version)
	if seen.Trip > natsFar {
		e.add(Warn, "nats", fmt.Sprintf("it answers after %v", seen.Trip.Round(time.Millisecond)), "messages wait for it twice: put nodes and NATS servers into one network")
	}
	e.queue(&seen)
	switch {
	case seen.PeerErr != nil:
		e.add(Warn, "nodes", "they were not asked: "+reason(seen.PeerErr), "")
	case len(seen.Peers) == 0:
		e.add(Warn, "nodes", "none runs", "start them: roomtide serve, or systemctl start roomtide@NAME")
	default:
		e.nodes(&seen)
	}
}

// queue looks at the stream in which changes wait.
func (e *examination) queue(seen *server.ClusterSeen) {
	q := &seen.Queue
	switch {
	case e.cfg.Queue.Mode == config.QueueOff:
		e.ok("queue", "off: changes that a database does not take are refused after 10 s")
		return
	case seen.QueueErr != nil:
		help := ""
		if e.cfg.NATS.Embedded {
			help = "at the very first start all NATS servers have to run once, and later more than half of them"
		}
		e.add(Fail, "queue", reason(seen.QueueErr), help)
		return
	case seen.PeerErr != nil && q.Replicas == 0 && !q.Missing:
		return // it was not looked at
	case q.Missing:
		e.add(Warn, "queue", "JetStream answers, and there is no stream yet", "the first node with queue.mode makes it")
	case len(q.Behind) > 0:
		e.add(Fail, "queue", fmt.Sprintf("%d of %d NATS servers have all of it; the others: %s", q.Current, q.Replicas, strings.Join(q.Behind, ", ")),
			"start them, look at their logs and disks, and start those again that do not catch up")
	case q.NearlyFull():
		e.add(Fail, "queue", fmt.Sprintf("it is nearly full: %s of %s", mebibytes(q.Bytes), mebibytes(q.MaxBytes)), "see which database takes nothing (roomtide shards), and raise queue.mib")
	case q.Replicas == 1:
		e.add(Warn, "queue", "it is on one NATS server: what waits in it is lost with the disk of that server", "use three servers with JetStream, which keep it on a quorum")
	default:
		e.ok("queue", "on %d NATS servers, all of them current; %s of %s", q.Replicas, mebibytes(q.Bytes), mebibytes(q.MaxBytes))
	}
	if e.cfg.NATS.Embedded {
		e.ok("sync_interval", "always: servers inside nodes wait for their disks")
	} else {
		e.syncs()
	}
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }

// syncs looks whether the NATS servers wait for their disks, which they tell to those alone
// that reach their monitoring port.
func (e *examination) syncs() {
	const help = "set sync_interval: always in the jetstream block of each NATS server: without it a power failure can take what it has acknowledged"
	addresses := e.NATSMonitor
	if len(addresses) == 0 {
		for _, text := range e.cfg.NATS.URL {
			if u, err := url.Parse(text); err == nil {
				addresses = append(addresses, "http://"+net.JoinHostPort(u.Hostname(), monitorPort))
			}
		}
		slices.Sort(addresses)
		addresses = slices.Compact(addresses)
	}
	client := &http.Client{Timeout: monitorPatience}
	defer client.CloseIdleConnections()
	for _, address := range addresses {
		var answer struct {
			Name      string `json:"server_name"`
			JetStream struct {
				Config struct {
					SyncAlways bool `json:"sync_always"`
				} `json:"config"`
			} `json:"jetstream"`
		}
		resp, err := client.Get(strings.TrimSuffix(address, "/") + "/varz")
		if err == nil {
			err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer)
			resp.Body.Close()
		}
		switch {
		case err != nil || answer.Name == "":
			e.add(Warn, "sync_interval", "it cannot be seen: no monitoring of NATS answers at "+address, help+"; --nats-monitor names where a server tells it (http_port)")
		case answer.JetStream.Config.SyncAlways:
			e.ok("sync_interval", "always, on %s", answer.Name)
		default:
			e.add(Warn, "sync_interval", "NATS server "+answer.Name+" does not wait for its disk before it acknowledges", help)
		}
	}
}

// nodes compares the nodes that run with the settings, and with each other.
func (e *examination) nodes(seen *server.ClusterSeen) {
	versions := map[string]bool{}
	names := map[string]int{}
	for i := range seen.Peers {
		p := &seen.Peers[i]
		versions[p.Version] = true
		names[p.Node]++
		e.peer(p, &seen.Self)
	}
	for i := 1; i < len(seen.Peers); i++ {
		if p, first := &seen.Peers[i], &seen.Peers[0]; !p.SameShards(&first.Hello) {
			e.add(Fail, "node "+p.Node, fmt.Sprintf("it has the shards %s, and node %s has %s", strings.Join(p.ShardNames, ", "), first.Node, strings.Join(first.ShardNames, ", ")),
				"give all nodes the same [[shards]], and restart those that do not have them yet")
		}
	}
	for name, n := range names {
		if n > 1 {
			e.add(Fail, "node "+name, fmt.Sprintf("%d processes have this name", n), "stop all but one, and give each node a name of its own: --node, or the setting node")
		}
	}
	if len(versions) > 1 {
		e.add(Warn, "versions", "the nodes run different versions", "finish the upgrade: what is new in a release is used when all nodes have it")
	}
}

func (e *examination) peer(p *cluster.Peer, self *cluster.Hello) {
	check := "node " + p.Node
	switch apart := p.Apart(); {
	case self.TokenKey != "" && p.TokenKey != self.TokenKey:
		e.add(Fail, check, "it has another key for tokens than the settings here", "copy token.key between the data directories, or let token_key_file name the same file on all nodes")
	case self.WebPush != "" && p.WebPush == "":
		e.add(Warn, check, "it sends no notifications to browsers, or is of an older version, and the settings here do", "set push.webpush_subject and push.webpush_key_file on all nodes")
	case self.WebPush != p.WebPush && self.WebPush != "":
		e.add(Fail, check, "it has another key for Web Push (VAPID) than the settings here: browsers that subscribe at one node get nothing from the other", "let push.webpush_key_file name a file with the same key on all nodes; make it once, with roomtide push key")
	case p.Level != self.Level:
		e.add(Warn, check, fmt.Sprintf("it runs Roomtide %s, of another level (%d) than this program (%d)", p.Version, p.Level, self.Level), "upgrade all nodes, one level at a time")
	case apart > clockApart:
		e.add(Warn, check, fmt.Sprintf("its clock differs from the clock here by %v", apart.Round(10*time.Millisecond)), "let both machines take their time from the network: timedatectl set-ntp true, or install chrony")
	default:
		e.ok(check, "runs, version %s; its clock and its key for tokens are those of here", cmp.Or(p.Version, "unknown"))
	}
}
