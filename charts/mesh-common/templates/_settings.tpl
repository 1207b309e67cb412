{{/* What a process is told: MESHWRIGHT_* by names that it knows, because it refuses others, and OTEL_*, which mean what they mean everywhere. */}}

{{- define "mesh.env" -}}
- {name: MESHWRIGHT_HOST, value: "0.0.0.0"}
- {name: MESHWRIGHT_PORT, value: {{ int .Values.port | quote }}}
{{- with include "mesh.publicurl" . }}
- {name: MESHWRIGHT_PUBLIC_URL, value: {{ . | quote }}}
{{- end }}
- {name: MESHWRIGHT_HOME, value: /var/lib/meshwright}
- {name: MESHWRIGHT_KEY, value: /run/secrets/meshwright/key.json}
- {name: MESHWRIGHT_TRUST, value: /run/secrets/meshwright/trust.json}
{{- with join "," (concat (include "mesh.urls" .Values.network.calls.agents | splitList "," | compact) .Values.network.calls.elsewhere) }}
- {name: MESHWRIGHT_PEERS, value: {{ . | quote }}}
{{- end }}
{{- with include "mesh.urls" .Values.network.calls.tools }}
- {name: MESHWRIGHT_TOOLS, value: {{ . | quote }}}
{{- end }}
{{- if .Values.shop.claim }}
- {name: MESHWRIGHT_SHOP, value: /var/lib/shop/shop.db}
{{- end }}
{{- if .Values.policy }}
- {name: MESHWRIGHT_POLICY, value: /etc/meshwright/policy}
{{- end }}
{{- if .Values.access }}
- {name: MESHWRIGHT_ACCESS, value: /etc/meshwright/access.toml}
{{- end }}
{{- if .Values.people.secret }}
- {name: MESHWRIGHT_CONSOLE_USERS, value: /run/secrets/people/people.json}
{{- end }}
{{- if .Values.audit.key.name }}
- {name: MESHWRIGHT_AUDIT_KEY, value: /run/secrets/audit/key.json}
{{- end }}
{{- if .Values.audit.secret.name }}
- {name: MESHWRIGHT_AUDIT_SECRET, value: /run/secrets/audit/secret}
{{- end }}
{{- if .Values.audit.claim }}
- {name: MESHWRIGHT_AUDIT_ANCHOR, value: /var/lib/anchor/audit-{{ .Chart.Name }}.checkpoints}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: MESHWRIGHT_{{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- range $name, $from := .Values.secrets }}
- name: MESHWRIGHT_{{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $from.name }}, key: {{ $from.key }}}
{{- end }}
{{- include "mesh.otel" . }}
{{- end }}

{{/* Where spans and metrics go. A header is a key, so it comes from a secret. */}}
{{- define "mesh.otel" -}}
{{- $telemetry := include "mesh.telemetry" . | fromJson -}}
{{- if $telemetry.endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ $telemetry.endpoint | quote }}}
{{- with $telemetry.headers }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef: {name: {{ .name }}, key: {{ .key }}}
{{- end }}
{{- if eq ($telemetry.metrics | default "otlp") "none" }}
- {name: OTEL_METRICS_EXPORTER, value: none}
{{- end }}
{{- with $telemetry.attributes }}
{{- $pairs := list -}}
{{- range $name, $value := . }}{{ $pairs = append $pairs (printf "%s=%s" $name $value) }}{{ end }}
- {name: OTEL_RESOURCE_ATTRIBUTES, value: {{ join "," $pairs | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* The address by which the world knows it: what is said, else that of the ingress. */}}
{{- define "mesh.publicurl" -}}
{{- .Values.publicUrl | default (.Values.ingress.enabled | ternary (printf "https://%s" .Values.ingress.host) "") -}}
{{- end }}

{{/* name: port, ... as a comma list of addresses. */}}
{{- define "mesh.urls" -}}
{{- $urls := list -}}
{{- range $name, $port := . -}}
{{- if $port }}{{ $urls = append $urls (printf "http://%s:%d" $name (int $port)) }}{{ end -}}
{{- end -}}
{{ join "," $urls }}
{{- end }}

{{- define "mesh.config" -}}
apiVersion: v1
kind: ConfigMap
metadata: {{- include "mesh.meta" . | nindent 2 }}
data:
  {{- range $name, $text := .Values.policy }}
  policy.{{ $name }}: {{ $text | quote }}
  {{- end }}
  {{- with .Values.access }}
  access.toml: {{ . | quote }}
  {{- end }}
{{- end }}

{{- define "mesh.home" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .Chart.Name }}-home
  namespace: {{ .Release.Namespace }}
  labels: {{- include "mesh.labels" . | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep # what was accepted is finished, even if someone uninstalls in between
spec:
  accessModes: [ReadWriteOnce]
  {{- with .Values.home.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: {storage: {{ .Values.home.size }}}
{{- end }}
