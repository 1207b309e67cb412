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
{{- if .Values.ingress.enabled }}
---
{{ include "mesh.ingress" . }}
{{- end }}
{{- end }}

{{/* What the schema cannot say: values that are right alone and wrong together. */}}
{{- define "mesh.refusals" -}}
{{- $v := .Values -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]{0,56}[a-z0-9])?$" .Chart.Name) -}}
{{- fail (printf "no Service can be called %q: the name of this chart is lower case letters, digits and -, at most 58" .Chart.Name) -}}
{{- end -}}
{{- if not $v.port -}}
{{- fail "say in the chart's values.yaml on which port it listens: port" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- fail (printf "autoscaling.minReplicas (%d) is above maxReplicas (%d)" (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- if and (eq $v.protocol "a2a") (not $v.secrets.DATABASE) (include "mesh.many" .) -}}
{{- fail "more than one replica needs a database that all can reach: set secrets.DATABASE, or stay with one replica" -}}
{{- end -}}
{{- $leaving := add (ceil ($v.settings.GRACE | default "8" | float64)) 2 -}}
{{- $needed := add (int $v.drain.preStopSeconds) $leaving 5 -}}
{{- if lt (int $v.drain.graceSeconds) (int $needed) -}}
{{- fail (printf "drain.graceSeconds (%d) must be at least preStopSeconds + %d for what is in flight (settings.GRACE + 2) + 5: %d" (int $v.drain.graceSeconds) $leaving $needed) -}}
{{- end -}}
{{- if $v.gateway.enabled -}}
{{- if eq $v.protocol "mcp" -}}
{{- fail "a tool server is never exposed: gateway.enabled is for agents" -}}
{{- end -}}
{{- if and (eq $v.protocol "web") (not (has $v.gateway.path (list "" "/"))) -}}
{{- fail "the console has a host name of its own: gateway.path is /, and gateway.hostnames says which" -}}
{{- end -}}
{{- if not (and $v.gateway.parentRefs $v.publicUrl) -}}
{{- fail "gateway.enabled needs gateway.parentRefs, and publicUrl: the address that the card shall name" -}}
{{- end -}}
{{- $deadline := $v.settings.DEADLINE_MAX | default "120" | float64 -}}
{{- $patience := mulf (regexFind "[0-9]+" $v.gateway.timeout) (get (dict "ms" 0.001 "s" 1 "m" 60 "h" 3600) (regexFind "[a-z]+" $v.gateway.timeout)) -}}
{{- if and (eq $v.protocol "a2a") $patience (lt $patience $deadline) -}}
{{- fail (printf "gateway.timeout (%s) is below settings.DEADLINE_MAX (%g seconds): the gateway would give up before the mesh does" $v.gateway.timeout $deadline) -}}
{{- end -}}
{{- end -}}
{{- if $v.ingress.enabled -}}
{{- if ne $v.protocol "web" -}}
{{- fail "an ingress is for the console; an agent is opened by gateway.enabled" -}}
{{- end -}}
{{- if not (and $v.ingress.host $v.ingress.tls $v.ingress.controller) -}}
{{- fail "ingress.enabled needs ingress.host, ingress.tls (its secret; people log in here) and ingress.controller (the namespace that the controller calls from)" -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.protocol "web") (not $v.people.secret) -}}
{{- fail "the console needs people.secret, who may log in: without it does not start where others can reach it" -}}
{{- end -}}
{{- if and $v.audit.claim (include "mesh.many" .) -}}
{{- fail "audit.claim is a volume for one replica; with more, keep what they write to standard output (docs/audit.md)" -}}
{{- end -}}
{{- $outside := dict "secrets.DATABASE" $v.secrets.DATABASE "settings.MODEL" $v.settings.MODEL "network.calls.elsewhere" $v.network.calls.elsewhere -}}
{{- range $what, $given := $outside -}}
{{- if and $given (not $v.network.egress) -}}
{{- fail (printf "%s needs network.egress: the network policy lets nothing out without a rule" $what) -}}
{{- end -}}
{{- end -}}
{{- $telemetry := include "mesh.telemetry" . | fromJson -}}
{{- if and $telemetry.endpoint (not (or $telemetry.egress $v.network.egress)) -}}
{{- fail (printf "telemetry.endpoint (%s) needs telemetry.egress: the network policy lets nothing out without a rule" $telemetry.endpoint) -}}
{{- end -}}
{{- end }}
