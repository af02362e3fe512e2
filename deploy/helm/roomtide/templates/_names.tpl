{{- define "secret" -}}
{{ .Values.existingSecret | default .Release.Name }}
{{- end -}}

{{- define "labels" -}}
app.kubernetes.io/name: roomtide
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "nats.urls" -}}
{{- $release := .Release.Name -}}
{{- range $i := until 3 }}{{ if $i }},{{ end }}nats://{{ $release }}-nats-{{ $i }}.{{ $release }}-nats:4222{{ end -}}
{{- end -}}

{{- /* In quotes, for a password that looks like a number; Kubernetes fills in $(NATS_PASSWORD). */ -}}
{{- define "nats.routes" -}}
{{- $release := .Release.Name -}}
[{{ range $i := until 3 }}{{ if $i }}, {{ end }}"nats://roomtide:$(PASSWORD)@{{ $release }}-nats-{{ $i }}.{{ $release }}-nats:6222"{{ end }}]
{{- end -}}

{{- /* The servers inside the nodes, and inside the witness of two. */ -}}
{{- define "embedded.routes" -}}
{{- $release := .Release.Name -}}
{{- $listed := int (.Values.nats.listed | default .Values.nodes) -}}
{{- if or (lt $listed (min 3 (int .Values.nodes) | int)) (gt $listed (int .Values.nodes)) }}{{ fail "nats.listed is 0, or from 3 to nodes" }}{{ end -}}
{{- range $i := until $listed }}{{ if $i }},{{ end }}{{ $release }}-{{ $i }}.{{ $release }}-nodes:6222{{ end -}}
{{- if eq (include "witness" .) "yes" }},{{ $release }}-witness-0.{{ $release }}-witness:6222{{ end -}}
{{- end -}}

{{- define "witness" -}}
{{ if and .Values.nats.embedded (eq (int .Values.nodes) 2) }}yes{{ end }}
{{- end -}}

{{- /* Pods that have a NATS server of the cluster inside: one of them may be away at a time. */ -}}
{{- define "servers" -}}
matchLabels: {{- include "labels" . | nindent 2 }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: [node, witness]}
{{- end -}}

{{- /* What the NATS servers inside the pods have in common. */ -}}
{{- define "embedded.env" -}}
- {name: ROOMTIDE_NATS_CLUSTER_LISTEN, value: "0.0.0.0:6222"}
- {name: ROOMTIDE_NATS_ROUTES, value: {{ include "embedded.routes" . | quote }}}
- name: ROOMTIDE_NATS_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "secret" . }}, key: natsPassword}}
{{- if .Values.nats.tlsSecret }}
- {name: ROOMTIDE_NATS_TLS_CA, value: /tls/ca.crt}
- {name: ROOMTIDE_NATS_TLS_CERT, value: /tls/tls.crt}
- {name: ROOMTIDE_NATS_TLS_KEY, value: /tls/tls.key}
{{- else }}
# NetworkPolicies keep the port to these pods; what goes through it can be read on the way.
- {name: ROOMTIDE_NATS_INSECURE_ROUTES, value: "true"}
{{- end }}
{{- end -}}

{{- /* Certificate, key and authority of the servers inside the pods, if they speak TLS. */ -}}
{{- define "embedded.tls" -}}
{{- with and .Values.nats.embedded .Values.nats.tlsSecret -}}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end -}}
{{- end -}}

{{- define "embedded.claim" -}}
metadata:
  name: data
spec:
  accessModes: [ReadWriteOnce]
  {{- with .Values.nats.storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: {storage: {{ .Values.nats.storage }}}
{{- end -}}

{{- define "pod.security" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "container.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* Pods of one kind lie on machines of their own as far as there are enough. */ -}}
{{- define "apart" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- toYaml . | nindent 12 }}
{{- end -}}
