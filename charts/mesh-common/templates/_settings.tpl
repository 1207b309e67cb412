{{/* What a process is told: MESHWRIGHT_* and nothing else, because a process refuses a name that it does not know. */}}

{{- define "mesh.env" -}}
- {name: MESHWRIGHT_HOST, value: "0.0.0.0"}
- {name: MESHWRIGHT_PORT, value: {{ int .Values.port | quote }}}
{{- with .Values.publicUrl }}
- {name: MESHWRIGHT_PUBLIC_URL, value: {{ . | quote }}}
{{- end }}
- {name: MESHWRIGHT_HOME, value: /var/lib/meshwright}
- {name: MESHWRIGHT_KEY, value: /run/secrets/meshwright/key.json}
- {name: MESHWRIGHT_TRUST, value: /run/secrets/meshwright/trust.json}
{{- with include "mesh.urls" .Values.network.calls.agents }}
- {name: MESHWRIGHT_PEERS, value: {{ . | quote }}}
{{- end }}
{{- with include "mesh.urls" .Values.network.calls.tools }}
- {name: MESHWRIGHT_TOOLS, value: {{ . | quote }}}
{{- end }}
{{- if .Values.shop.claim }}
- {name: MESHWRIGHT_SHOP, value: /var/lib/shop/shop.db}
{{- end }}
{{- if .Values.people.secret }}
- {name: MESHWRIGHT_CONSOLE_USERS, value: /run/secrets/people/people.json}
{{- end }}
{{- if .Values.policy }}
- {name: MESHWRIGHT_POLICY, value: /etc/meshwright/policy}
{{- end }}
{{- if .Values.access }}
- {name: MESHWRIGHT_ACCESS, value: /etc/meshwright/access.toml}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: MESHWRIGHT_{{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- range $name, $from := .Values.secrets }}
- name: MESHWRIGHT_{{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $from.name }}, key: {{ $from.key }}}
{{- end }}
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
