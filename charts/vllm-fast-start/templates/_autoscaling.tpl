{{/* Least replicas of a cell. */}}
{{- define "vllm-fast-start.minReplicas" -}}
{{- hasKey .cell "minReplicas" | ternary .cell.minReplicas .root.Values.autoscaling.minReplicas -}}
{{- end }}

{{/* Most replicas of a cell. */}}
{{- define "vllm-fast-start.maxReplicas" -}}
{{- hasKey .cell "maxReplicas" | ternary .cell.maxReplicas .root.Values.autoscaling.maxReplicas -}}
{{- end }}

{{/*
Replicas to write, or nothing. Where an autoscaler decides they are left out, with one exception: as long as Helm owns the
field, since autoscaling has just been turned on, leaving it out would set it back to 1 and end all pods but one. Only with
server-side apply: a client-side Helm takes back whatever its last manifest had, so the sooner that has none, the better.
Takes $at; `lookup` finds nothing where Helm talks to no cluster.
*/}}
{{- define "vllm-fast-start.replicas" -}}
{{- if not .root.Values.autoscaling.enabled -}}
{{- if hasKey .cell "replicas" }}{{ .cell.replicas }}{{ end -}}
{{- else -}}
{{- $live := lookup "apps/v1" "Deployment" .root.Release.Namespace (include "vllm-fast-start.cellFullname" .) -}}
{{- range dig "metadata" "managedFields" list $live -}}
{{- $owns := hasKey (dig "f:spec" dict (.fieldsV1 | default dict)) "f:replicas" -}}
{{- if and $owns (eq .operation "Apply") }}{{ $live.spec.replicas }}{{ break }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The chosen signals as a list of {name, target}, both texts, since a large number would become 1e+06; `name` is vLLM's gauge without its prefix `vllm:`. */}}
{{- define "vllm-fast-start.metrics" -}}
{{- if has .Values.autoscaling.metric (list "running" "both") }}
- {name: num_requests_running, target: {{ .Values.autoscaling.targetRunning | int64 | toString | quote }}}
{{- end }}
{{- if has .Values.autoscaling.metric (list "waiting" "both") }}
- {name: num_requests_waiting, target: {{ .Values.autoscaling.targetWaiting | int64 | toString | quote }}}
{{- end }}
{{- end }}

{{/* Name under which the metric's source serves it to the HPA; takes {root, metric}. */}}
{{- define "vllm-fast-start.hpaMetricName" -}}
{{- if eq .root.Values.autoscaling.source "gke" -}}
{{- printf "autoscaling.gke.io|%s|%s" (include "vllm-fast-start.fullname" .root) (replace "_" "-" .metric) -}}
{{- else -}}
{{- printf "prometheus.googleapis.com|vllm:%s|gauge" .metric -}}
{{- end -}}
{{- end }}

{{/* Regular expression of the names of a cell's pods, for PromQL. */}}
{{- define "vllm-fast-start.podPattern" -}}
{{- printf "%s-[a-z0-9]+-[a-z0-9]+" (include "vllm-fast-start.cellFullname" .) -}}
{{- end }}

{{/*
KEDA's triggers of a cell as a list of {name, query, threshold, activationThreshold}. The activation
query only keeps one pod alive: its threshold is out of reach, so the pods' own load decides beyond that.
*/}}
{{- define "vllm-fast-start.kedaTriggers" -}}
{{- $at := . -}}
{{- $selector := printf "namespace=%q,pod=~%q" .root.Release.Namespace (include "vllm-fast-start.podPattern" .) -}}
{{- range include "vllm-fast-start.metrics" .root | fromYamlArray }}
- name: {{ .name | replace "_" "-" }}
  query: {{ printf "sum(vllm:%s{%s})" .name $selector | squote }}
  threshold: {{ .target | quote }}
  activationThreshold: 0
{{- end }}
{{- with .root.Values.autoscaling.keda.activation.query }}
- name: activation
  query: {{ . | toJson }}
  threshold: "1000000000"
  activationThreshold: {{ $at.root.Values.autoscaling.keda.activation.threshold }}
{{- end }}
{{- end }}
