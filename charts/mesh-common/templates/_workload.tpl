{{/* The pods of a process, the account they run under and the service in front of them. */}}

{{- define "mesh.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata: {{- include "mesh.meta" . | nindent 2 }}
automountServiceAccountToken: false
{{- end }}

{{- define "mesh.service" -}}
apiVersion: v1
kind: Service
metadata: {{- include "mesh.meta" . | nindent 2 }}
spec:
  type: ClusterIP
  selector: {{- include "mesh.selector" . | nindent 4 }}
  ports:
    - name: http
      port: {{ int .Values.port }}
      targetPort: http
      {{- if eq .Values.protocol "web" }}
      appProtocol: http
      {{- else }}
      # An agent gateway reads from it what it may expect here, and finds the card itself.
      appProtocol: agentgateway.dev/{{ .Values.protocol }}
      {{- end }}
{{- end }}

{{- define "mesh.deployment" -}}
{{- $keeps := include "mesh.keeps" . -}}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "mesh.meta" . | nindent 2 }}
spec:
  {{- if not .Values.autoscaling.enabled }}
  replicas: {{ int .Values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    {{- if or $keeps .Values.audit.claim }}
    type: Recreate # its volume has room for one
    {{- else }}
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
    {{- end }}
  selector:
    matchLabels: {{- include "mesh.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "mesh.labels" . | nindent 8 }}
        {{- with .Values.shop.claim }}
        meshwright/shop: {{ . }}
        {{- end }}
      {{- if or .Values.policy .Values.access }}
      annotations:
        checksum/config: {{ include "mesh.config" . | sha256sum }} # new rules, new pods
      {{- end }}
    spec: {{- include "mesh.pod" . | nindent 6 }}
{{- end }}

{{- define "mesh.pod" -}}
serviceAccountName: {{ .Chart.Name }}
automountServiceAccountToken: false
enableServiceLinks: false # else a service called meshwright-* would inject MESHWRIGHT_* settings
terminationGracePeriodSeconds: {{ int .Values.drain.graceSeconds }}
securityContext: {{- include "mesh.podsafety" . | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
containers:
  - name: {{ .Chart.Name }}
    image: {{ include "mesh.image" (dict "root" . "image" .Values.image "name" .Chart.Name) | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    securityContext: {{- include "mesh.safety" . | nindent 6 }}
    env: {{- include "mesh.env" . | nindent 6 }}
    ports:
      - {name: http, containerPort: {{ int .Values.port }}, protocol: TCP}
    # A start may take a minute of a busy node. It has ended when the process is ready, and the port is open long before: asked
    # every second, it takes calls a second after it can. Then readiness decides about calls, and liveness only about a hang.
    startupProbe:
      httpGet: {path: /readyz, port: http}
      periodSeconds: 1
      failureThreshold: 60
    readinessProbe:
      httpGet: {path: /readyz, port: http}
      periodSeconds: 5
      timeoutSeconds: 2
      failureThreshold: 2
    livenessProbe:
      httpGet: {path: /livez, port: http}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    lifecycle:
      preStop:
        sleep: {seconds: {{ int .Values.drain.preStopSeconds }}}
    resources: {{- toYaml .Values.resources | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      - {name: home, mountPath: /var/lib/meshwright}
      - {name: identity, mountPath: /run/secrets/meshwright, readOnly: true}
      {{- if or .Values.policy .Values.access }}
      - {name: config, mountPath: /etc/meshwright, readOnly: true}
      {{- end }}
      {{- if .Values.shop.claim }}
      - {name: shop, mountPath: /var/lib/shop}
      {{- end }}
      {{- if .Values.people.secret }}
      - {name: people, mountPath: /run/secrets/people, readOnly: true}
      {{- end }}
      {{- if or .Values.audit.key.name .Values.audit.secret.name }}
      - {name: audit, mountPath: /run/secrets/audit, readOnly: true}
      {{- end }}
      {{- if .Values.audit.claim }}
      - {name: anchor, mountPath: /var/lib/anchor}
      {{- end }}
volumes: {{- include "mesh.volumes" . | nindent 2 }}
{{- if .Values.shop.claim }}
affinity: # the shop is one SQLite file: whoever opens it must be on the node where it is
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {meshwright/shop: {{ .Values.shop.claim }}}
{{- else }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "mesh.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "mesh.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 16Mi}
- name: home
  {{- if include "mesh.keeps" . }}
  persistentVolumeClaim: {claimName: {{ .Chart.Name }}-home}
  {{- else }}
  emptyDir: {sizeLimit: 1Gi} # the tasks of MESHWRIGHT_RETENTION days; who needs more is evicted, and begins with none
  {{- end }}
- name: identity
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ .Values.identity.secret | default (printf "meshwright-key-%s" .Chart.Name) }}
          items: [{key: key.json, path: key.json}]
      - configMap:
          name: {{ .Values.identity.trust }}
          items: [{key: trust.json, path: trust.json}]
{{- if or .Values.policy .Values.access }}
- name: config
  configMap:
    name: {{ .Chart.Name }}
    items:
      {{- range $name, $text := .Values.policy }}
      - {key: policy.{{ $name }}, path: policy/{{ $name }}}
      {{- end }}
      {{- if .Values.access }}
      - {key: access.toml, path: access.toml}
      {{- end }}
{{- end }}
{{- with .Values.shop.claim }}
- name: shop
  persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- with .Values.people.secret }}
- name: people
  secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: people.json, path: people.json}]}
{{- end }}
{{- if or .Values.audit.key.name .Values.audit.secret.name }}
- name: audit
  projected:
    defaultMode: 0440
    sources:
      {{- with .Values.audit.key.name }}
      - secret: {name: {{ . }}, items: [{key: {{ $.Values.audit.key.key }}, path: key.json}]}
      {{- end }}
      {{- with .Values.audit.secret.name }}
      - secret: {name: {{ . }}, items: [{key: {{ $.Values.audit.secret.key }}, path: secret}]}
      {{- end }}
{{- end }}
{{- with .Values.audit.claim }}
- name: anchor
  persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- end }}
