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
