{{/* What a process may not do, who may reach it, and how many of it there are. */}}

{{- define "mesh.podsafety" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "mesh.safety" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "mesh.network" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{- include "mesh.meta" . | nindent 2 }}
spec:
  podSelector:
    matchLabels: {{- include "mesh.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- $gateways := .Values.gateway.enabled | ternary .Values.gateway.parentRefs list }}
  {{- $controllers := .Values.ingress.enabled | ternary (list .Values.ingress.controller) list }}
  {{- $callers := or .Values.network.callers $gateways $controllers }}
  {{- if or $callers .Values.network.ingress }}
  ingress:
    {{- with .Values.network.ingress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if $callers }}
    - ports: [{protocol: TCP, port: http}]
      from:
        {{- range .Values.network.callers }}
        - podSelector: {matchLabels: {app.kubernetes.io/name: {{ . }}, app.kubernetes.io/part-of: meshwright}}
        {{- end }}
        {{- range $gateways }}
        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .namespace | default $.Release.Namespace }}}}
        {{- end }}
        {{- range $controllers }}
        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ . }}}}
        {{- end }}
    {{- end }}
  {{- else }}
  ingress: []
  {{- end }}
  egress:
    - ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
      to: {{- toYaml .Values.network.dns | nindent 8 }}
    {{- range list .Values.network.calls.agents .Values.network.calls.tools }}
    {{- range $name, $port := . }}
    {{- if $port }}
    - ports: [{protocol: TCP, port: {{ int $port }}}]
      to:
        - podSelector: {matchLabels: {app.kubernetes.io/name: {{ $name }}, app.kubernetes.io/part-of: meshwright}}
    {{- end }}
    {{- end }}
    {{- end }}
    {{- with .Values.network.egress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- $telemetry := include "mesh.telemetry" . | fromJson }}
    {{- if and $telemetry.endpoint $telemetry.egress }}
    {{- toYaml $telemetry.egress | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "mesh.disruption" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{- include "mesh.meta" . | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow # a pod that never gets ready must not hold up a node's drain
  selector:
    matchLabels: {{- include "mesh.selector" . | nindent 6 }}
{{- end }}

{{- define "mesh.autoscaler" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{- include "mesh.meta" . | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ .Chart.Name }}}
  minReplicas: {{ int .Values.autoscaling.minReplicas }}
  maxReplicas: {{ int .Values.autoscaling.maxReplicas }}
  metrics:
    {{- if .Values.autoscaling.metrics }}
    {{- toYaml .Values.autoscaling.metrics | nindent 4 }}
    {{- else }}
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ int .Values.autoscaling.cpu }}}
    {{- end }}
  {{- with .Values.autoscaling.behavior }}
  behavior: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "mesh.route" -}}
{{- $path := .Values.gateway.path | default (eq .Values.protocol "web" | ternary "/" (printf "/%s" .Chart.Name)) -}}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{- include "mesh.meta" . | nindent 2 }}
spec:
  parentRefs: {{- toYaml .Values.gateway.parentRefs | nindent 4 }}
  {{- with .Values.gateway.hostnames }}
  hostnames: {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    - matches:
        - path: {type: PathPrefix, value: {{ $path }}}
      {{- if ne $path "/" }}
      filters:
        - type: URLRewrite
          urlRewrite:
            path: {type: ReplacePrefixMatch, replacePrefixMatch: /}
      {{- end }}
      backendRefs:
        - {name: {{ .Chart.Name }}, port: {{ int .Values.port }}}
      timeouts: {request: {{ .Values.gateway.timeout }}}
{{- end }}

{{- define "mesh.ingress" -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "mesh.meta" . | nindent 2 }}
  {{- with .Values.ingress.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .Values.ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  tls:
    - hosts: [{{ .Values.ingress.host | quote }}]
      secretName: {{ .Values.ingress.tls }}
  rules:
    - host: {{ .Values.ingress.host | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {service: {name: {{ .Chart.Name }}, port: {name: http}}}
{{- end }}
