{{/* What is off, and the value that turns it on. */}}
{{- define "vllm-fast-start.notes.off" -}}
{{- $off := list -}}
{{- if not (or .Values.imageCache.diskImage .Values.imageCache.images) }}{{ $off = append $off "image cache: new nodes pull the image (imageCache.diskImage names the node pool's secondary boot disk)" }}{{ end -}}
{{- if ne .Values.weights.verify "manifest" }}{{ $off = append $off "check of the weights before the start (weights.verify: manifest)" }}{{ end -}}
{{- if not .Values.autoscaling.enabled }}{{ $off = append $off "autoscaling (autoscaling.enabled: true)" }}{{ end -}}
{{- if not .Values.monitoring.podMonitoring.enabled }}{{ $off = append $off "metrics in Managed Prometheus (monitoring.podMonitoring.enabled: true)" }}{{ end -}}
{{- if not .Values.monitoring.rules.enabled }}{{ $off = append $off "alert rules (monitoring.rules.enabled: true)" }}{{ end -}}
{{- if not .Values.server.apiKey.secretName }}{{ $off = append $off "API key: whoever reaches the Service may use it (server.apiKey.secretName)" }}{{ end -}}
{{- if not .Values.podDisruptionBudget.enabled }}{{ $off = append $off "disruption budget (podDisruptionBudget.enabled: true)" }}{{ end -}}
{{- if not .Values.networkPolicy.enabled }}{{ $off = append $off "network policy (networkPolicy.enabled: true)" }}{{ end -}}
{{- with $off }}
Off:
{{- range . }}
  - {{ . }}
{{- end }}
{{ end -}}
{{- end }}
