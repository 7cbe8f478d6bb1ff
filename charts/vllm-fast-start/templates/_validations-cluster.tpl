{{/*
Rules about the cluster, for when Helm talks to one. `helm template` and a dry run on the client talk to none,
render the same, and skip these. See _validations.tpl.
*/}}

{{/* Kinds of others' custom resources that the values ask for: {kind, api, from, path, fix}. */}}
{{- define "vllm-fast-start.customResources" -}}
{{- $gmp := "Google Managed Prometheus (gcloud container clusters update CLUSTER --enable-managed-prometheus)" -}}
{{- if .Values.monitoring.podMonitoring.enabled }}
- kind: PodMonitoring
  api: monitoring.googleapis.com/v1
  from: {{ $gmp }}
  path: monitoring.podMonitoring.enabled
  fix: "monitoring:\n  podMonitoring:\n    enabled: false"
{{- end }}
{{- if .Values.monitoring.rules.enabled }}
- kind: Rules
  api: monitoring.googleapis.com/v1
  from: {{ $gmp }}
  path: monitoring.rules.enabled
  fix: "monitoring:\n  rules:\n    enabled: false"
{{- end }}
{{- if and .Values.autoscaling.enabled (eq .Values.autoscaling.source "gke") }}
- kind: AutoscalingMetric
  api: autoscaling.gke.io/v1beta1
  from: GKE 1.35.1 or newer with the performance HPA profile
  path: autoscaling.source "gke"
  fix: "autoscaling:\n  source: stackdriver"
{{- end }}
{{- if and .Values.autoscaling.enabled (eq .Values.autoscaling.source "keda") }}
- kind: ScaledObject
  api: keda.sh/v1alpha1
  from: KEDA
  path: autoscaling.source "keda"
  fix: "autoscaling:\n  source: stackdriver"
{{- end }}
{{- end }}

{{/* Every API server has apiregistration.k8s.io, and the list that Helm assumes without one has not. */}}
{{- define "vllm-fast-start.validate.cluster.kinds" -}}
{{- if .Capabilities.APIVersions.Has "apiregistration.k8s.io/v1" -}}
{{- range include "vllm-fast-start.customResources" . | fromYamlArray -}}
{{- if not ($.Capabilities.APIVersions.Has (printf "%s/%s" .api .kind)) }}
{{ .path }} needs the kind {{ .kind }} ({{ .api }}), which this cluster does not know: it comes with {{ .from }}.
Please install that first, or set:
{{ .fix }}
{{ end -}}
{{- end -}}
{{- end -}}
{{- end }}
