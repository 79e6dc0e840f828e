{{- define "remora.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "remora.labels" -}}
app.kubernetes.io/part-of: remora
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "remora.hub.selector" -}}
app.kubernetes.io/name: remora-hub
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "remora.injector.selector" -}}
app.kubernetes.io/name: remora-injector
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What a container of Pod Security level `restricted` may do. */}}
{{- define "remora.restricted" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
{{- end }}

{{- define "remora.restrictedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "remora.sidecarMode" -}}
{{- if ne .Values.sidecar.mode "auto" -}}
{{ .Values.sidecar.mode }}
{{- else if semverCompare ">=1.32.0-0" .Capabilities.KubeVersion.Version -}}
native
{{- else -}}
classic
{{- end -}}
{{- end }}
