package deploy

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"

	"github.com/roomtide/roomtide/config"
)

var update = flag.Bool("update", false, "write deploy/kubernetes anew from the chart")

// manifests is the file that the chart becomes with a Secret that exists, embedded what it
// becomes with NATS inside three nodes, and witness with two and a witness.
const (
	manifests = "deploy/kubernetes/roomtide.yaml"
	embedded  = "deploy/kubernetes/embedded.yaml"
	witness   = "deploy/kubernetes/witness.yaml"
)

const manifestsHead = `# Made by "make generate" from deploy/helm/roomtide; do not edit. For kubectl apply -f,
# behind the Secret roomtide that docs/deployment.md says how to make.
`

// helm renders the chart with the real Helm, without a cluster.
func helm(t *testing.T, set ...string) (string, error) {
	t.Helper()
	args := []string{"template", "roomtide", filepath.Join(root, chart), "--kube-version", "1.34.0"}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	cmd := exec.CommandContext(t.Context(), program(t, "helm"), args...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir())
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return string(out), err
}

func mustHelm(t *testing.T, set ...string) string {
	t.Helper()
	text, err := helm(t, set...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// objects are what a file for Kubernetes has, by kind and name.
type objects map[string]any

// decode reads every document into the type of its kind; a field that the type does not
// have is an error, and so is one that stands twice.
func decode(t *testing.T, text string) objects {
	t.Helper()
	all := objects{}
	for doc := range strings.SplitSeq("\n"+text, "\n---\n") {
		var head struct {
			APIVersion, Kind string
			Metadata         struct{ Name string }
		}
		if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if head.Kind == "" {
			continue // comments
		}
		o := map[string]any{
			"v1 Service": &core.Service{}, "v1 Secret": &core.Secret{}, "v1 ConfigMap": &core.ConfigMap{}, "apps/v1 StatefulSet": &apps.StatefulSet{},
			"policy/v1 PodDisruptionBudget": &policy.PodDisruptionBudget{}, "networking.k8s.io/v1 NetworkPolicy": &networking.NetworkPolicy{},
		}[head.APIVersion+" "+head.Kind]
		if o == nil {
			t.Fatalf("%s %s is of no known type", head.APIVersion, head.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(doc), o); err != nil {
			t.Errorf("%s %s: %v", head.Kind, head.Metadata.Name, err)
		}
		key := head.Kind + " " + head.Metadata.Name
		if all[key] != nil {
			t.Errorf("%s stands twice", key)
		}
		all[key] = o
	}
	return all
}

func get[T any](t *testing.T, all objects, key string) T {
	t.Helper()
	o, ok := all[key].(T)
	if !ok {
		t.Fatalf("there is no %s", key)
	}
	return o
}

// The plain manifests are the chart's, so that there is one thing to keep right.
func TestManifestsAreTheChart(t *testing.T) {
	for name, set := range map[string][]string{manifests: nil, embedded: {"nats.embedded=true"}, witness: {"nats.embedded=true", "nodes=2"}} {
		want := manifestsHead + mustHelm(t, append(set, "existingSecret=roomtide")...)
		if *update {
			file := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, file, want)
		}
		if readFile(t, name) != want {
			t.Errorf("%s is not what the chart makes: run make generate", name)
		}
	}
}

// Helm finds nothing to say about the chart, which makes nothing without its secrets and
// takes no value that it does not know.
func TestChart(t *testing.T) {
	run(t, "helm", "lint", "--strict", "--quiet", "--kube-version", "1.34.0", "--set", "existingSecret=roomtide", filepath.Join(root, chart))
	secret := map[string]string{
		"secret.shards": "mysql://chat:pw@db/chat", "secret.redis": "redis://redis:6379/0",
		"secret.natsPassword": "0123456789abcdef", "secret.tokenKey": strings.Repeat("0123456789abcdef", 4),
	}
	set := func(without, instead string) (list []string) {
		for name, value := range secret {
			if name == without {
				value = instead
			}
			list = append(list, name+"="+value)
		}
		return list
	}
	all := decode(t, mustHelm(t, set("", "")...))
	if s := get[*core.Secret](t, all, "Secret roomtide"); len(s.StringData) != len(secret) || s.StringData["tokenKey"] != secret["secret.tokenKey"] {
		t.Errorf("the Secret has %d keys", len(s.StringData))
	}
	for name := range secret {
		if _, err := helm(t, set(name, "")...); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
		if _, err := helm(t, set(name, "?")...); err == nil {
			t.Errorf("%s may be anything", name)
		}
	}
	push := append(set("", ""), "webPushSubject=mailto:you@example.org")
	if _, err := helm(t, push...); err == nil || !strings.Contains(err.Error(), "webPushKey") {
		t.Errorf("without a key for Web Push: %v", err)
	}
	all = decode(t, mustHelm(t, append(push, "secret.webPushKey="+strings.Repeat("a-Z", 14)+"0")...))
	if s := get[*core.Secret](t, all, "Secret roomtide"); len(s.StringData) != len(secret)+1 {
		t.Errorf("with a key for Web Push, the Secret has %d keys", len(s.StringData))
	}
	pod := get[*apps.StatefulSet](t, all, "StatefulSet roomtide").Spec.Template.Spec
	items := pod.Volumes[1].Secret.Items
	env := environment(&pod.Containers[0], "roomtide-0", nil)
	if i := len(items) - 1; items[i].Key != "webPushKey" || !slices.Contains(env, "ROOMTIDE_PUSH_WEBPUSH_KEY_FILE="+pod.Containers[0].VolumeMounts[1].MountPath+"/"+items[i].Path) {
		t.Errorf("the key of Web Push is not where the settings look for it: %v", items)
	}
	for _, wrong := range []string{"webPushSubject=you", "node=5", "nodes=1", "image=roomtide:latest", "settings.LISTEN=x", "nats.replicas=5", "nats.tlsSecret=x", "nats.embedded=true,nats.listed=2", "nats.embedded=true,nats.listed=4"} {
		if _, err := helm(t, "existingSecret=roomtide", wrong); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

// environment is what a container of a pod has, with what it takes from the Secret filled in.
func environment(c *core.Container, pod string, secret map[string]string) (env []string) {
	have := map[string]string{}
	for _, e := range c.Env {
		value := e.Value
		for name, v := range have {
			value = strings.ReplaceAll(value, "$("+name+")", v)
		}
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			value = secret[e.ValueFrom.SecretKeyRef.Key]
		} else if e.ValueFrom != nil {
			value = pod
		}
		have[e.Name] = value
	}
	for name, value := range have {
		env = append(env, name+"="+value)
	}
	return env
}

var secretOf = map[string]string{
	"shards": "mysql://chat:pw@db/chat?prefix=s1_ postgres://chat:pw@db2/chat", "redis": "redis://default:pw@redis:6379/0", "natsPassword": "123456e7890abcdef", "tokenKey": "",
}

// The node of the manifests has settings that exist, time to drain, the probes, and no
// rights.
func TestNodesInKubernetes(t *testing.T) {
	all := decode(t, readFile(t, manifests))
	set := get[*apps.StatefulSet](t, all, "StatefulSet roomtide")
	pod := set.Spec.Template.Spec
	c := pod.Containers[0]
	key := filepath.Join(t.TempDir(), "token.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("0f", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	env := environment(&c, "roomtide-0", secretOf)
	for i, e := range env { // where the Secret is mounted
		if name, file, _ := strings.Cut(e, "="); name == "ROOMTIDE_TOKEN_KEY_FILE" {
			if v := pod.Volumes[1]; v.Name != c.VolumeMounts[1].Name || v.Secret.Items[0].Key != "tokenKey" || file != c.VolumeMounts[1].MountPath+"/"+v.Secret.Items[0].Path {
				t.Errorf("the key for tokens is looked for in %s", file)
			}
			env[i] = name + "=" + key
		}
	}
	cfg := checkSettings(t, "StatefulSet roomtide", env)
	if cfg.Node != "roomtide-0" || cfg.Listen != "0.0.0.0:8080" || len(cfg.NATS.URL) != 3 || cfg.DataDir != c.VolumeMounts[0].MountPath+"/data" {
		t.Errorf("node %q, listen %q, NATS %v, data dir %q", cfg.Node, cfg.Listen, cfg.NATS.URL, cfg.DataDir)
	}
	if cfg.Node = "roomtide-0"; *set.Spec.Replicas != 3 || c.Env[0].ValueFrom.FieldRef.FieldPath != "metadata.name" {
		t.Errorf("%d nodes, named %v", *set.Spec.Replicas, c.Env[0])
	}
	delay := time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
	if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace < delay+drainBound(config.Default())+10*time.Second {
		t.Errorf("a pod has %v to stop: %v until it begins, and twice %v", grace, delay, config.Default().DrainTimeout)
	}
	for what, p := range map[string]*core.Probe{"/healthz startup": c.StartupProbe, "/readyz readiness": c.ReadinessProbe, "/healthz liveness": c.LivenessProbe} {
		if path, _, _ := strings.Cut(what, " "); p == nil || p.HTTPGet.Path != path || p.HTTPGet.Port.String() != "http" {
			t.Errorf("%s: %v", what, p)
		}
	}
	if cfg.TokenKeyFile != key {
		t.Errorf("nodes have keys for tokens of their own: %q", cfg.TokenKeyFile)
	}
}

// Every pod is hardened and bounded; what selects pods finds some, ports have names that
// exist, and each kind of pod has a budget, a policy and anti-affinity.
func TestKubernetesFitsTogether(t *testing.T) {
	for file, sets := range map[string][]string{manifests: {"roomtide", "roomtide-nats"}, embedded: {"roomtide"}, witness: {"roomtide", "roomtide-witness"}} {
		all := decode(t, readFile(t, file))
		for _, name := range sets {
			t.Run(file+" "+name, func(t *testing.T) { checkSet(t, all, name) })
		}
		for key := range all {
			if kind, name, _ := strings.Cut(key, " "); kind == "StatefulSet" && !slices.Contains(sets, name) {
				t.Errorf("%s has the StatefulSet %s", file, name)
			}
		}
	}
}

// checkSet looks at a StatefulSet and everything that is for its pods.
func checkSet(t *testing.T, all objects, name string) {
	set := get[*apps.StatefulSet](t, all, "StatefulSet "+name)
	pod := set.Spec.Template.Spec
	ports, volumes := map[string]bool{}, map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
	}
	for _, v := range set.Spec.VolumeClaimTemplates {
		volumes[v.Name] = true
	}
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		checkContainer(t, name, &c, volumes)
		for _, p := range c.Ports {
			ports[p.Name] = true
		}
	}
	if s := pod.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser == 0 || *pod.AutomountServiceAccountToken {
		t.Errorf("%s: its pods may be root, or have the token of an account", name)
	}
	if pod.Affinity == nil || len(pod.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution) != 1 {
		t.Fatalf("%s: its pods may all lie on one machine", name)
	}
	checkSelectors(t, all, set)
	for _, rule := range get[*networking.NetworkPolicy](t, all, "NetworkPolicy "+name).Spec.Ingress {
		if !ports[rule.Ports[0].Port.String()] {
			t.Errorf("%s: the policy opens %v, which is no port", name, rule.Ports[0].Port)
		}
	}
	governing := get[*core.Service](t, all, "Service "+set.Spec.ServiceName)
	if governing.Spec.ClusterIP != core.ClusterIPNone || !governing.Spec.PublishNotReadyAddresses {
		t.Errorf("%s gives pods no names", set.Spec.ServiceName)
	}
	services := []*core.Service{governing}
	if name == "roomtide" {
		services = append(services, get[*core.Service](t, all, "Service roomtide"))
	}
	for _, s := range services {
		if !maps.Equal(s.Spec.Selector, set.Spec.Template.Labels) {
			t.Errorf("Service %s selects by %v", s.Name, s.Spec.Selector)
		}
		for _, port := range s.Spec.Ports {
			if !ports[port.TargetPort.String()] {
				t.Errorf("%s leads to %v, which is no port", s.Name, port.TargetPort)
			}
		}
	}
}

// checkSelectors compares what selects the pods of a set with their labels. The one budget
// of nodes and their witness selects both; so does what keeps a witness apart from nodes.
func checkSelectors(t *testing.T, all objects, set *apps.StatefulSet) {
	t.Helper()
	const component = "app.kubernetes.io/component"
	labels := set.Spec.Template.Labels
	fits := func(what string, by core.PodAffinityTerm) {
		t.Helper()
		selected := maps.Clone(by.LabelSelector.MatchLabels)
		for _, e := range by.LabelSelector.MatchExpressions {
			if e.Key == component && e.Operator == "In" && slices.Contains(e.Values, labels[component]) {
				selected[component] = labels[component]
			}
		}
		if !maps.Equal(selected, labels) {
			t.Errorf("%s of %s selects by %v, and its pods have %v", what, set.Name, by.LabelSelector, labels)
		}
	}
	fits("anti-affinity", set.Spec.Template.Spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution[0].PodAffinityTerm)
	fits("StatefulSet", core.PodAffinityTerm{LabelSelector: set.Spec.Selector})
	fits("NetworkPolicy", core.PodAffinityTerm{LabelSelector: &get[*networking.NetworkPolicy](t, all, "NetworkPolicy "+set.Name).Spec.PodSelector})
	budget := get[*policy.PodDisruptionBudget](t, all, "PodDisruptionBudget "+strings.TrimSuffix(set.Name, "-witness"))
	fits("PodDisruptionBudget", core.PodAffinityTerm{LabelSelector: budget.Spec.Selector})
	if budget.Spec.MaxUnavailable.IntValue() != 1 {
		t.Errorf("%s: %v may be unavailable", set.Name, budget.Spec.MaxUnavailable)
	}
}

func checkContainer(t *testing.T, name string, c *core.Container, volumes map[string]bool) {
	t.Helper()
	s := c.SecurityContext
	if s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
		t.Errorf("%s: the container %s may do more than it has to", name, c.Name)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("%s: the container %s has no bounds", name, c.Name)
	}
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("%s: %s mounts %s, which there is not", name, c.Name, m.Name)
		}
	}
	for _, e := range c.Env {
		if ref := e.ValueFrom; ref != nil && ref.SecretKeyRef != nil {
			if _, ok := secretOf[ref.SecretKeyRef.Key]; !ok {
				t.Errorf("%s: the Secret has no %s", name, ref.SecretKeyRef.Key)
			}
		} else if strings.Contains(e.Name, "PASSWORD") && !strings.Contains(e.Value, "$(") {
			t.Errorf("%s: %s is written in the file", name, e.Name)
		}
	}
}

// The server reads its configuration as Kubernetes gives it, with a password that looks
// like a number, and keeps what it has acknowledged.
func TestNATSInKubernetes(t *testing.T) {
	all := decode(t, readFile(t, manifests))
	set := get[*apps.StatefulSet](t, all, "StatefulSet roomtide-nats")
	for _, e := range environment(&set.Spec.Template.Spec.Containers[0], "roomtide-nats-0", secretOf) {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	file := filepath.Join(t.TempDir(), "nats.conf")
	write(t, file, get[*core.ConfigMap](t, all, "ConfigMap roomtide-nats").Data["nats.conf"])
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !o.JetStream || !o.SyncAlways || o.Password != secretOf["natsPassword"] || len(o.Routes) != int(*set.Spec.Replicas) {
		t.Errorf("JetStream %v, sync always %v, password %q, routes %v", o.JetStream, o.SyncAlways, o.Password, o.Routes)
	}
	node := get[*apps.StatefulSet](t, all, "StatefulSet roomtide").Spec.Template.Spec.Containers[0]
	for i, route := range o.Routes {
		pod := fmt.Sprintf("roomtide-nats-%d.%s", i, set.Spec.ServiceName)
		if password, _ := route.User.Password(); route.Hostname() != pod || password != o.Password {
			t.Errorf("the route %s does not lead to %s", route.Redacted(), pod)
		}
		if !slices.ContainsFunc(environment(&node, "roomtide-0", secretOf), func(e string) bool {
			return strings.HasPrefix(e, "ROOMTIDE_NATS_URL=") && strings.Contains(e, "nats://"+pod+":4222")
		}) {
			t.Errorf("nodes do not know %s", pod)
		}
	}
	if storage := set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().Value(); o.JetStreamMaxStore > storage*9/10 {
		t.Errorf("JetStream may fill %d of %d bytes", o.JetStreamMaxStore, storage)
	}
}
