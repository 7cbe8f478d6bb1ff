{{/* Rules about cells and autoscaling; see _validations.tpl. */}}

{{- define "vllm-fast-start.validate.cells.names" -}}
{{- $seen := dict -}}
{{- range $index, $cell := .Values.cells -}}
{{- $name := include "vllm-fast-start.cellName" (dict "cell" $cell) -}}
{{- if hasKey $seen $name }}
cells[{{ get $seen $name }}] and cells[{{ $index }}] are both named {{ $name | quote }}.
Please set a name of its own:
cells:
  - name: {{ $name }}-2
    zone: {{ $cell.zone }}
{{ end -}}
{{- $_ := set $seen $name $index -}}
{{- end -}}
{{- end }}

{{- define "vllm-fast-start.validate.cells.nodes" -}}
{{- range $index, $cell := .Values.cells -}}
{{- $name := include "vllm-fast-start.cellName" (dict "cell" $cell) -}}
{{- if not (or $cell.nodePool $cell.computeClass) }}
cells[{{ $index }}] ({{ $name }}) names neither nodePool nor computeClass, so its pods would run on any node.
Please set one of the two:
cells:
  - zone: {{ $cell.zone }}
    nodePool: <node pool>
{{ end -}}
{{- with $cell.computeClass -}}
{{- range $key := list "nodePool" "accelerator" "spot" -}}
{{- with get $cell $key }}
cells[{{ $index }}] ({{ $name }}) has computeClass {{ $cell.computeClass | quote }} and {{ $key }} {{ . | quote }}: a compute class picks the nodes itself and must not meet other node selectors.
Please drop {{ $key }}:
cells:
  - zone: {{ $cell.zone }}
    computeClass: {{ $cell.computeClass }}
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "vllm-fast-start.validate.cells.replicas" -}}
{{- $autoscaling := .Values.autoscaling -}}
{{- if $autoscaling.enabled -}}
{{- range $index, $cell := .Values.cells -}}
{{- $at := dict "root" $ "cell" $cell -}}
{{- $name := include "vllm-fast-start.cellName" $at -}}
{{- $min := include "vllm-fast-start.minReplicas" $at | int -}}
{{- $max := include "vllm-fast-start.maxReplicas" $at | int -}}
{{- if hasKey $cell "replicas" }}
cells[{{ $index }}] ({{ $name }}) has replicas {{ $cell.replicas }} and autoscaling.enabled is true: the autoscaler would undo it.
Please set its bounds instead:
cells:
  - zone: {{ $cell.zone }}
    minReplicas: {{ $cell.replicas }}
{{ end -}}
{{- if gt $min $max }}
cells[{{ $index }}] ({{ $name }}) has minReplicas {{ $min }} above maxReplicas {{ $max }}.
Please set:
autoscaling:
  maxReplicas: {{ $min }}
{{ end -}}
{{- if and (eq $min 0) (ne $autoscaling.source "keda") }}
cells[{{ $index }}] ({{ $name }}) has minReplicas 0 and autoscaling.source is {{ $autoscaling.source | quote }}: only KEDA scales to zero, given a signal that outlives the pods.
Please set:
autoscaling:
  minReplicas: 1
{{ end -}}
{{- if and (eq $min 0) (eq $autoscaling.source "keda") (not $autoscaling.keda.activation.query) }}
cells[{{ $index }}] ({{ $name }}) has minReplicas 0 and autoscaling.keda.activation.query is empty: with no pod left, vLLM's own metrics are gone and nothing would start the first one.
Please set a signal that outlives the pods, or minReplicas: 1:
autoscaling:
  keda:
    activation:
      query: sum(rate(gateway_requests_total{backend="{{ include "vllm-fast-start.fullname" $ }}"}[1m]))
{{ end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "vllm-fast-start.validate.autoscaling.keda" -}}
{{- if and .Values.autoscaling.enabled (eq .Values.autoscaling.source "keda") (not .Values.autoscaling.keda.serverAddress) }}
autoscaling.source is "keda" and autoscaling.keda.serverAddress is empty.
Please set the Prometheus query endpoint that KEDA asks:
autoscaling:
  keda:
    serverAddress: http://frontend.gmp-public.svc.cluster.local:9090
{{ end -}}
{{- end }}
