{{/* Weights kind `disk`: a zonal disk made from a baked image, mounted ReadOnlyMany. Hooks, in the order of _helpers.tpl's users. */}}

{{/* The revision that pods mount, as YAML; empty when `current` names none, which validation reports. */}}
{{- define "vllm-fast-start.weights.disk.current" -}}
{{- range .Values.weights.disk.revisions -}}
{{- if eq .name $.Values.weights.disk.current }}{{ toYaml . }}{{ end -}}
{{- end -}}
{{- end }}

{{/* Name of a revision's claim; takes {at, revision}. */}}
{{- define "vllm-fast-start.weights.disk.claimName" -}}
{{- printf "%s-%s" (include "vllm-fast-start.cellFullname" .at) .revision -}}
{{- end }}

{{/* Name of a revision's volume: cluster-wide, so with the namespace; takes {at, revision}. */}}
{{- define "vllm-fast-start.weights.disk.volumeName" -}}
{{- printf "%s-%s" .at.root.Release.Namespace (include "vllm-fast-start.weights.disk.claimName" .) -}}
{{- end }}

{{- define "vllm-fast-start.weights.disk.model" -}}
/model-data/{{ include "vllm-fast-start.weights.local.path" .root }}
{{- end }}

{{- define "vllm-fast-start.weights.disk.args" -}}
[]
{{- end }}

{{- define "vllm-fast-start.weights.disk.env" -}}
{{ include "vllm-fast-start.weights.local.env" . }}
{{- end }}

{{- define "vllm-fast-start.weights.disk.volumes" -}}
{{- $claim := include "vllm-fast-start.weights.disk.claimName" (dict "at" . "revision" .root.Values.weights.disk.current) -}}
{{- include "vllm-fast-start.weights.local.volumes" (dict "at" . "claim" $claim) -}}
{{- end }}

{{- define "vllm-fast-start.weights.disk.mounts" -}}
{{- include "vllm-fast-start.weights.local.mounts" dict -}}
{{- end }}

{{- define "vllm-fast-start.weights.disk.initContainers" -}}
{{- $current := include "vllm-fast-start.weights.disk.current" .root | fromYaml -}}
{{- include "vllm-fast-start.weights.local.initContainers" (dict "at" . "manifestSha256" $current.manifestSha256) -}}
{{- end }}
