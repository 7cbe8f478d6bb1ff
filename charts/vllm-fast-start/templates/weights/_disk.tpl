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

{{/* The disk of a revision in a cell, as the PD CSI driver names it; takes {at, revision: <one entry of revisions>}. */}}
{{- define "vllm-fast-start.weights.disk.volumeHandle" -}}
{{- $disk := get .revision.disks (include "vllm-fast-start.cellName" .at) -}}
{{- printf "projects/%s/zones/%s/disks/%s" .at.root.Values.weights.disk.project .at.cell.zone $disk -}}
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

{{- define "vllm-fast-start.weights.disk.usesScripts" -}}
{{ include "vllm-fast-start.weights.local.usesScripts" . }}
{{- end }}

{{- define "vllm-fast-start.weights.disk.egress" -}}
{{- end }}

{{- define "vllm-fast-start.weights.disk.ephemeralGiB" -}}
0
{{- end }}

{{- define "vllm-fast-start.weights.disk.names" -}}
{{- $at := . }}
{{- range .root.Values.weights.disk.revisions }}
- {{ include "vllm-fast-start.weights.disk.volumeName" (dict "at" $at "revision" .name) | quote }}
{{- end }}
{{- end }}

{{- define "vllm-fast-start.weights.disk.validate" -}}
{{- $disk := .root.Values.weights.disk -}}
{{- $names := list -}}
{{- range $index, $revision := $disk.revisions -}}
{{- if has $revision.name $names }}
weights.disk.revisions[{{ $index }}] is a second revision named {{ $revision.name | quote }}.
Please drop one of the two.
{{ end -}}
{{- $names = append $names $revision.name -}}
{{- include "vllm-fast-start.validate.byCell" (dict "root" $.root "map" $revision.disks "path" (printf "weights.disk.revisions[%d].disks" $index) "value" "<disk>") }}
{{ end -}}
{{- if not (has $disk.current $names) }}
weights.disk.current {{ $disk.current | quote }} is not among the revisions {{ join ", " $names }}.
Please set one of them:
weights:
  disk:
    current: {{ last $names }}
{{ end -}}
{{- $size := (include "vllm-fast-start.weights.disk.current" .root | fromYaml).sizeGiB | default $disk.sizeGiB -}}
{{- with .root.Values.model.sizeGiB -}}
{{- if gt (int64 .) (int64 $size) }}
weights.disk.sizeGiB {{ $size }} is less than model.sizeGiB {{ . }}.
Please set the size of the disk, which is also what its speed follows from:
weights:
  disk:
    sizeGiB: {{ mul 2 (int64 .) }}
{{ end -}}
{{- end -}}
{{- include "vllm-fast-start.weights.disk.validateLive" .root -}}
{{- end }}

{{- define "vllm-fast-start.weights.disk.notes" -}}
{{- $disk := .root.Values.weights.disk -}}
{{- range $cell := .root.Values.cells }}
{{- $at := dict "root" $.root "cell" $cell }}
{{- $current := include "vllm-fast-start.weights.disk.current" $.root | fromYaml }}
Weights in {{ include "vllm-fast-start.cellName" $at }}: disk {{ get $current.disks (include "vllm-fast-start.cellName" $at) }} ({{ $current.type | default $disk.type }}, {{ $current.sizeGiB | default $disk.sizeGiB }} GiB), revision {{ $disk.current }}, read-only
{{- end }}
{{- end }}
