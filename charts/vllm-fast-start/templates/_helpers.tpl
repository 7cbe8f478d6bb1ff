{{/*
Helpers that take the root context are called with `$`; those that also need a cell take the dict
`$at`: {root: $, cell: <one entry of cells>}.
*/}}

{{/* Chart name as a label value. */}}
{{- define "vllm-fast-start.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end }}

{{/* Prefix of every name. Never cut short: two long names would meet after the cut, so they are refused instead. */}}
{{- define "vllm-fast-start.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name -}}
{{- end }}

{{/* Name of the ServiceAccount that pods use. */}}
{{- define "vllm-fast-start.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "vllm-fast-start.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{/* Name of a cell. */}}
{{- define "vllm-fast-start.cellName" -}}
{{- .cell.name | default .cell.zone -}}
{{- end }}

{{/* Name of a cell's Deployment, autoscaler and disruption budget. */}}
{{- define "vllm-fast-start.cellFullname" -}}
{{- printf "%s-%s" (include "vllm-fast-start.fullname" .root) (include "vllm-fast-start.cellName" .) -}}
{{- end }}

{{/* Version of vLLM: said, or read from the image's tag, or the chart's. Gates the arguments that the chart adds. */}}
{{- define "vllm-fast-start.vllmVersion" -}}
{{- .Values.vllmVersion | default (include "vllm-fast-start.tagVersion" .Values.image.tag) | default .Chart.AppVersion -}}
{{- end }}

{{/* The three numbers of a vLLM tag such as `v0.33.0-x86_64`; empty for any other tag. */}}
{{- define "vllm-fast-start.tagVersion" -}}
{{- regexFind "^v?[0-9]+\\.[0-9]+\\.[0-9]+" . | trimPrefix "v" -}}
{{- end }}

{{/* Reference of an image {repository, tag, digest}: with a digest, the tag is for people. */}}
{{- define "vllm-fast-start.image" -}}
{{- printf "%s:%s" .repository .tag -}}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{/* Reference of the vLLM image. */}}
{{- define "vllm-fast-start.serverImage" -}}
{{- $tag := .Values.image.tag | default (printf "v%s" (include "vllm-fast-start.vllmVersion" .)) -}}
{{- include "vllm-fast-start.image" (dict "repository" .Values.image.repository "tag" $tag "digest" .Values.image.digest) -}}
{{- end }}

{{/* Labels of an object; takes {root, component, selector?, extra?}: the last two as stableLabels has them. */}}
{{- define "vllm-fast-start.labels" -}}
{{- $chart := dict "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- merge $chart (include "vllm-fast-start.stableLabels" . | fromYaml) | toYaml -}}
{{- end }}

{{/*
Labels of a pod: without the chart's version, which would restart every GPU pod at each chart upgrade.
`selector` is the YAML of selector labels, `extra` a map; the chart's own labels win over both it and commonLabels.
*/}}
{{- define "vllm-fast-start.stableLabels" -}}
{{- $own := dict
  "app.kubernetes.io/name" (include "vllm-fast-start.name" .root)
  "app.kubernetes.io/instance" .root.Release.Name
  "app.kubernetes.io/version" (include "vllm-fast-start.vllmVersion" .root)
  "app.kubernetes.io/managed-by" .root.Release.Service
  "app.kubernetes.io/component" .component -}}
{{- $selector := .selector | default "" | fromYaml -}}
{{- merge $own $selector (.extra | default dict) .root.Values.commonLabels | toYaml -}}
{{- end }}

{{/* Selector of every serving pod. Plain names: GKE's AutoscalingMetric refuses `.` and `/` in a selector's label names. */}}
{{- define "vllm-fast-start.selectorLabels" -}}
app: {{ include "vllm-fast-start.fullname" . | quote }}
{{- end }}

{{/* Selector of one cell's serving pods. */}}
{{- define "vllm-fast-start.cellSelectorLabels" -}}
{{ include "vllm-fast-start.selectorLabels" .root }}
cell: {{ include "vllm-fast-start.cellName" . | quote }}
{{- end }}

{{/* Labels of the objects that all cells share; takes {root, component}. */}}
{{- define "vllm-fast-start.releaseLabels" -}}
{{- include "vllm-fast-start.labels" (dict "root" .root "component" .component "selector" (include "vllm-fast-start.selectorLabels" .root)) -}}
{{- end }}

{{/* Labels of one cell's objects; takes {root, cell, component}. */}}
{{- define "vllm-fast-start.cellLabels" -}}
{{- include "vllm-fast-start.labels" (dict "root" .root "component" .component "selector" (include "vllm-fast-start.cellSelectorLabels" .)) -}}
{{- end }}

{{/*
One hook of the chosen weights kind; takes (list <hook> $at). A kind is one file of templates/weights/
that defines every hook:
  model           what vLLM is told to serve: a path or a name
  args env        arguments (a YAML list) and environment of the server
  volumes mounts  of the pod and of the server
  initContainers  what runs before the server
and, called without a cell, {root: $}:
  usesScripts     "true" when the ConfigMap with the scripts is needed
  egress          rules for the NetworkPolicy
  ephemeralGiB    what the volumes may take of the node's disk, or 0
  validate notes  problems with the values; what NOTES.txt says
  names           of further objects of a cell, to be checked for length (called with the cell)
*/}}
{{- define "vllm-fast-start.weights" -}}
{{- $at := index . 1 -}}
{{- include (printf "vllm-fast-start.weights.%s.%s" $at.root.Values.weights.kind (index . 0)) $at -}}
{{- end }}

{{/* Pod-level security context: Pod Security "restricted". */}}
{{- define "vllm-fast-start.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 20000
runAsGroup: 20000
fsGroup: 20000
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Container-level security context: Pod Security "restricted". */}}
{{- define "vllm-fast-start.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end }}
