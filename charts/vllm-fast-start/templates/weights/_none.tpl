{{/* Weights kind `none`: vLLM downloads the model at each start, into an emptyDir or a claim that keeps it. */}}

{{- define "vllm-fast-start.weights.none.model" -}}
{{ .root.Values.weights.none.repository }}
{{- end }}

{{- define "vllm-fast-start.weights.none.args" -}}
- --revision={{ .root.Values.weights.none.revision }}
{{- end }}

{{- define "vllm-fast-start.weights.none.env" -}}
- {name: HF_HUB_CACHE, value: /model-data}
{{- if .root.Values.weights.none.tokenSecret.name }}
- {name: HF_TOKEN_PATH, value: /etc/vllm-fast-start/hf-token/token}
{{- end }}
{{- end }}

{{- define "vllm-fast-start.weights.none.volumes" -}}
{{- $none := .root.Values.weights.none -}}
- name: weights
{{- with get $none.claims (include "vllm-fast-start.cellName" .) }}
  persistentVolumeClaim:
    claimName: {{ . | quote }}
{{- else }}
  emptyDir:
    sizeLimit: {{ $none.sizeGiB }}Gi
{{- end }}
{{- if .root.Values.weights.none.tokenSecret.name }}
- name: hf-token
  secret:
    secretName: {{ .root.Values.weights.none.tokenSecret.name | quote }}
    defaultMode: 0440
    items:
      - key: {{ .root.Values.weights.none.tokenSecret.key | quote }}
        path: token
{{- end }}
{{- end }}

{{- define "vllm-fast-start.weights.none.mounts" -}}
- name: weights
  mountPath: /model-data
{{- if .root.Values.weights.none.tokenSecret.name }}
- name: hf-token
  mountPath: /etc/vllm-fast-start/hf-token
  readOnly: true
{{- end }}
{{- end }}

{{- define "vllm-fast-start.weights.none.initContainers" -}}
{{- end }}

{{- define "vllm-fast-start.weights.none.usesScripts" -}}
false
{{- end }}

{{- define "vllm-fast-start.weights.none.egress" -}}
{{ include "vllm-fast-start.egress.https" .root }}
{{- end }}

{{- define "vllm-fast-start.weights.none.ephemeralGiB" -}}
{{- .root.Values.weights.none.sizeGiB | default 0 -}}
{{- end }}

{{- define "vllm-fast-start.weights.none.names" -}}
{{- end }}

{{- define "vllm-fast-start.weights.none.validate" -}}
{{- $none := .root.Values.weights.none -}}
{{- if and $none.sizeGiB $none.claims }}
weights.none has both sizeGiB {{ $none.sizeGiB }}, for an emptyDir, and claims.
Please drop one of them:
weights:
  none:
    sizeGiB: null
{{ end -}}
{{- if not (or $none.sizeGiB $none.claims) }}
weights.none has neither sizeGiB nor claims, so the download has nowhere to go.
Please set the size of an emptyDir that holds the model:
weights:
  none:
    sizeGiB: 20
{{ end -}}
{{- if $none.claims }}
{{ include "vllm-fast-start.validate.byCell" (dict "root" .root "map" $none.claims "path" "weights.none.claims" "value" "<claim>") }}
{{ end -}}
{{- end }}

{{- define "vllm-fast-start.weights.none.notes" }}
Weights: {{ .root.Values.weights.none.repository }} at {{ .root.Values.weights.none.revision }}, downloaded at every start of a pod, which is slow; a weights disk is not (weights.kind: disk)
{{- end }}
