{{/* Weights kind `claim`: a claim that somebody else made and filled, one per cell. */}}

{{- define "vllm-fast-start.weights.claim.model" -}}
/model-data/{{ include "vllm-fast-start.weights.local.path" .root }}
{{- end }}

{{- define "vllm-fast-start.weights.claim.args" -}}
[]
{{- end }}

{{- define "vllm-fast-start.weights.claim.env" -}}
{{ include "vllm-fast-start.weights.local.env" . }}
{{- end }}

{{- define "vllm-fast-start.weights.claim.volumes" -}}
{{- $claim := get .root.Values.weights.claim.claims (include "vllm-fast-start.cellName" .) -}}
{{- include "vllm-fast-start.weights.local.volumes" (dict "at" . "claim" $claim) -}}
{{- end }}

{{- define "vllm-fast-start.weights.claim.mounts" -}}
{{- include "vllm-fast-start.weights.local.mounts" (dict "subPath" .root.Values.weights.claim.subPath) -}}
{{- end }}

{{- define "vllm-fast-start.weights.claim.initContainers" -}}
{{- include "vllm-fast-start.weights.local.initContainers" (dict "at" . "subPath" .root.Values.weights.claim.subPath) -}}
{{- end }}

{{- define "vllm-fast-start.weights.claim.usesScripts" -}}
{{ include "vllm-fast-start.weights.local.usesScripts" . }}
{{- end }}

{{- define "vllm-fast-start.weights.claim.egress" -}}
{{- end }}

{{- define "vllm-fast-start.weights.claim.ephemeralGiB" -}}
0
{{- end }}

{{- define "vllm-fast-start.weights.claim.names" -}}
{{- end }}

{{- define "vllm-fast-start.weights.claim.validate" -}}
{{- include "vllm-fast-start.validate.byCell" (dict "root" .root "map" .root.Values.weights.claim.claims "path" "weights.claim.claims" "value" "<claim>") -}}
{{- end }}

{{- define "vllm-fast-start.weights.claim.notes" -}}
{{- range $name, $claim := .root.Values.weights.claim.claims }}
Weights in {{ $name }}: claim {{ $claim }}, read-only
{{- end }}
{{- end }}
