{{/*
Rules that tie values together. Each rule is one define that gives nothing, or one paragraph: what
clashes, with both values, and the YAML to set. All of them are said at once.
*/}}

{{- define "vllm-fast-start.validate" -}}
{{- $rules := list "names" -}}
{{- if eq .Values.mode "serve" -}}
{{- $rules = concat $rules (list
  "cells.names" "cells.nodes" "cells.replicas" "autoscaling.keda"
  "image.version" "image.cache" "resources.gpus" "resources.volumes" "labels"
  "server.args" "server.secrets" "server.chatTemplate" "strategy" "weights" "cluster.kinds") -}}
{{- else -}}
{{- $rules = append $rules "download" -}}
{{- end -}}
{{- $found := list -}}
{{- range $rule := $rules -}}
{{- with include (printf "vllm-fast-start.validate.%s" $rule) $ | trim }}{{ $found = append $found . }}{{ end -}}
{{- end -}}
{{- if $found }}{{ fail (printf "\n\n%s\n" (join "\n\n" $found)) }}{{ end -}}
{{- end }}

{{/* Names are at most 63 characters, which is what labels and Services allow. */}}
{{- define "vllm-fast-start.validate.names" -}}
{{- $fullname := include "vllm-fast-start.fullname" . -}}
{{- $names := list $fullname (printf "%s-scripts" $fullname) -}}
{{- if eq .Values.mode "download" -}}
{{- $names = append $names (include "vllm-fast-start.download.jobName" .) -}}
{{- else -}}
{{- $names = append $names (printf "%s-test-completion" $fullname) -}}
{{- range $cell := .Values.cells -}}
{{- $names = concat $names (include "vllm-fast-start.names" (dict "root" $ "cell" $cell) | fromYamlArray) -}}
{{- end -}}
{{- end -}}
{{- range $names -}}
{{- if gt (len .) 63 }}
The name {{ . | quote }} has {{ len . }} characters; 63 are allowed.
Please set a shorter prefix, or shorter cell names:
fullnameOverride: vllm
{{ end -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $fullname) }}
The name {{ $fullname | quote }} cannot name a Service: it takes lower-case letters, digits and hyphens, and starts with a letter.
Please set:
fullnameOverride: vllm
{{ end -}}
{{- end }}

{{/* Names of a cell's objects, those of its weights included. */}}
{{- define "vllm-fast-start.names" -}}
{{- $at := . }}
- {{ include "vllm-fast-start.cellFullname" . | quote }}
{{ include "vllm-fast-start.weights" (list "names" .) }}
{{- end }}

{{/* What the chosen weights kind has to say. */}}
{{- define "vllm-fast-start.validate.weights" -}}
{{- include "vllm-fast-start.weights" (list "validate" (dict "root" .)) -}}
{{- end }}

{{/* A map by cell names every cell and no other; takes {root, map, path, value}. For weights kinds. */}}
{{- define "vllm-fast-start.validate.byCell" -}}
{{- $cells := list -}}
{{- range $cell := .root.Values.cells }}{{ $cells = append $cells (include "vllm-fast-start.cellName" (dict "cell" $cell)) }}{{ end -}}
{{- range $cells -}}
{{- if not (hasKey $.map .) }}
{{ $.path }} lacks cell {{ . | quote }}; it has {{ keys $.map | sortAlpha | join ", " | default "none" }}.
Please add to {{ $.path }}:
  {{ . }}: {{ $.value }}
{{ end -}}
{{- end -}}
{{- range keys .map | sortAlpha -}}
{{- if not (has . $cells) }}
{{ $.path }} names {{ . | quote }}, which is no cell; the cells are {{ join ", " $cells }}.
Please drop it, or give the cell that name:
cells:
  - name: {{ . }}
{{ end -}}
{{- end -}}
{{- end }}

{{/* GiB of a quantity such as `32Gi` or `1Ti`, which the API server makes of `1024Gi`; empty for one in another unit. */}}
{{- define "vllm-fast-start.gib" -}}
{{- $number := regexFind "^[0-9]+" (toString .) | int64 -}}
{{- if regexMatch "^[0-9]+Gi$" (toString .) }}{{ $number }}{{ end -}}
{{- if regexMatch "^[0-9]+Ti$" (toString .) }}{{ mul 1024 $number }}{{ end -}}
{{- end }}

{{/* A Hugging Face source is pinned to a commit, since a tag or branch moves; another source has no revision. */}}
{{- define "vllm-fast-start.validate.download" -}}
{{- $download := .Values.download -}}
{{- if and (hasPrefix "hf://" $download.source) (not (regexMatch "^[0-9a-f]{40}$" $download.revision)) }}
download.source is {{ $download.source | quote }} and download.revision is {{ $download.revision | quote }}: a Hugging Face source needs a commit of 40 hex digits, since a branch moves.
Please set:
download:
  revision: 0123456789abcdef0123456789abcdef01234567
{{ end -}}
{{- if and (hasPrefix "gs://" $download.source) (or $download.revision $download.tokenSecret.name) }}
download.source is {{ $download.source | quote }}, so download.revision and download.tokenSecret, which are for Hugging Face, have no meaning.
Please set:
download:
  revision: ""
  tokenSecret:
    name: ""
{{ end -}}
{{- end }}
