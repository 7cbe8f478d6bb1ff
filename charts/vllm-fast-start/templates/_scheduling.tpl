{{/* Node selector of a cell. A compute class picks the nodes itself and must not meet node pool, Spot or accelerator selectors. */}}
{{- define "vllm-fast-start.nodeSelector" -}}
topology.kubernetes.io/zone: {{ .cell.zone }}
{{- with .cell.computeClass }}
cloud.google.com/compute-class: {{ . }}
{{- end }}
{{- with .cell.nodePool }}
cloud.google.com/gke-nodepool: {{ . }}
{{- end }}
{{- with .cell.accelerator }}
cloud.google.com/gke-accelerator: {{ . }}
{{- end }}
{{- if .cell.spot }}
cloud.google.com/gke-spot: "true"
{{- end }}
{{- with .cell.nodeSelector }}
{{ toYaml . }}
{{- end }}
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
  value: {{ . }}
  effect: NoSchedule
{{- end }}
{{- with .root.Values.tolerations }}
{{ toYaml . }}
{{- end }}
{{- end }}
