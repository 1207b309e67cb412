{{/* Names, labels and the image. A process is named by its chart, not by the release, because its peers find it by that name. */}}

{{- define "mesh.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/part-of: meshwright
{{- end }}

{{- define "mesh.labels" -}}
{{ include "mesh.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: {{ get (dict "a2a" "agent" "mcp" "tool" "web" "pages") .Values.protocol }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "mesh.meta" -}}
name: {{ .Chart.Name }}
namespace: {{ .Release.Namespace }}
labels: {{- include "mesh.labels" . | nindent 2 }}
{{- end }}

{{/* Given (dict "root" $ "image" .Values.image "name" "orders"). */}}
{{- define "mesh.image" -}}
{{- $prefix := (.root.Values.global | default dict).imagePrefix | default "meshwright" -}}
{{- $repository := .image.repository | default (printf "%s/%s" $prefix .name) -}}
{{- if .image.digest -}}
{{ $repository }}@{{ .image.digest }}
{{- else -}}
{{ $repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* "yes" if MESHWRIGHT_HOME is a volume that outlives the pod. With a database elsewhere there is nothing in it to keep. */}}
{{- define "mesh.keeps" -}}
{{- if and .Values.home.size (not .Values.secrets.DATABASE) }}yes{{ end -}}
{{- end }}

{{/* "yes" if there is ever more than one replica. */}}
{{- define "mesh.many" -}}
{{- if .Values.autoscaling.enabled -}}
{{- if gt (int .Values.autoscaling.maxReplicas) 1 }}yes{{ end -}}
{{- else if gt (int .Values.replicas) 1 }}yes{{ end -}}
{{- end }}
