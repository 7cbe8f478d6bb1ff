{{/* Node selector of a cell. A compute class picks the nodes itself and must not meet node pool, Spot or accelerator selectors. */}}
{{- define "vllm-fast-start.nodeSelector" -}}
{{- $own := dict "topology.kubernetes.io/zone" .cell.zone -}}
{{- with .cell.computeClass }}{{ $_ := set $own "cloud.google.com/compute-class" . }}{{ end -}}
{{- with .cell.nodePool }}{{ $_ := set $own "cloud.google.com/gke-nodepool" . }}{{ end -}}
{{- with .cell.accelerator }}{{ $_ := set $own "cloud.google.com/gke-accelerator" . }}{{ end -}}
{{- if .cell.spot }}{{ $_ := set $own "cloud.google.com/gke-spot" "true" }}{{ end -}}
{{- merge $own (.cell.nodeSelector | default dict) | toYaml -}}
{{- end }}

{{/* Tolerations of a cell. GKE taints GPU nodes only in some clusters, so the GPU toleration is always there. */}}
{{- define "vllm-fast-start.tolerations" -}}
- key: nvidia.com/gpu
  operator: Exists
  effect: NoSchedule
{{- if .cell.spot }}
- key: cloud.google.com/gke-spot
  operator: Equal
  value: "true"
  effect: NoSchedule
{{- end }}
{{- with .cell.computeClass }}
- key: cloud.google.com/compute-class
  operator: Equal
  value: {{ . | quote }}
  effect: NoSchedule
{{- end }}
{{- with .root.Values.tolerations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Topology spread of a cell's pods: a constraint without a labelSelector would count no pod, so it gets the cell's. */}}
{{- define "vllm-fast-start.topologySpread" -}}
{{- $selector := include "vllm-fast-start.cellSelectorLabels" . | fromYaml -}}
{{- range .root.Values.topologySpreadConstraints }}
- {{ toYaml . | nindent 2 | trim }}
{{- if not (hasKey . "labelSelector") }}
  labelSelector:
    matchLabels:
      {{- toYaml $selector | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}
