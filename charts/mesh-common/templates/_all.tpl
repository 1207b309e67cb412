{{/* All that a process consists of: the one line in each chart. */}}

{{- define "mesh.all" -}}
{{- include "mesh.refusals" . -}}
{{- include "mesh.account" . }}
---
{{ include "mesh.service" . }}
---
{{ include "mesh.deployment" . }}
---
{{ include "mesh.network" . }}
{{- if include "mesh.keeps" . }}
---
{{ include "mesh.home" . }}
{{- end }}
{{- if or .Values.policy .Values.access }}
---
{{ include "mesh.config" . }}
{{- end }}
{{- if include "mesh.many" . }}
---
{{ include "mesh.disruption" . }}
{{- end }}
{{- if .Values.autoscaling.enabled }}
---
{{ include "mesh.autoscaler" . }}
{{- end }}
{{- if .Values.gateway.enabled }}
---
{{ include "mesh.route" . }}
{{- end }}
{{- end }}

{{/* What the schema cannot say: values that are right alone and wrong together. */}}
{{- define "mesh.refusals" -}}
{{- $v := .Values -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- fail (printf "autoscaling.minReplicas (%d) is above maxReplicas (%d)" (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- if and (eq $v.protocol "a2a") (not $v.secrets.DATABASE) (include "mesh.many" .) -}}
{{- fail "more than one replica needs a database that all can reach: set secrets.DATABASE, or stay with one replica" -}}
{{- end -}}
{{- if and (eq $v.protocol "web") (not $v.people.secret) -}}
{{- fail "pages do not stand open: people.secret names the secret with people.json, who may log in" -}}
{{- end -}}
{{- $needed := add (int $v.drain.preStopSeconds) 15 -}}
{{- if lt (int $v.drain.graceSeconds) (int $needed) -}}
{{- fail (printf "drain.graceSeconds (%d) must be at least preStopSeconds + 10 for what is in flight + 5 (%d)" (int $v.drain.graceSeconds) $needed) -}}
{{- end -}}
{{- if $v.gateway.enabled -}}
{{- if eq $v.protocol "mcp" -}}
{{- fail "a tool server is never exposed: gateway.enabled is for agents" -}}
{{- end -}}
{{- if and (eq $v.protocol "web") (ne $v.gateway.path "/") -}}
{{- fail "pages have a host name of their own: gateway.path is /, and gateway.hostnames says which" -}}
{{- end -}}
{{- if not (and $v.gateway.parentRefs $v.publicUrl) -}}
{{- fail "gateway.enabled needs gateway.parentRefs, and publicUrl: the address that the card shall name" -}}
{{- end -}}
{{- end -}}
{{- end }}
