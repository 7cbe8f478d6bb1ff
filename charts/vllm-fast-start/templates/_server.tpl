{{/* Command of the server. With an API key a shell looks at it first and then becomes the server: vLLM takes an empty key for none. */}}
{{- define "vllm-fast-start.server.command" -}}
{{- $command := .Values.server.command | default (list "vllm" "serve") -}}
{{- if .Values.server.apiKey.secretName -}}
{{- $command = concat (list "/bin/sh" "-c" (.Files.Get "files/with-api-key.sh") "with-api-key") $command -}}
{{- end -}}
{{- toYaml $command -}}
{{- end }}

{{/* "true" when the API key is a mounted file. */}}
{{- define "vllm-fast-start.server.keyFromFile" -}}
{{- and (ne .Values.server.apiKey.secretName "") (eq .Values.server.apiKey.as "file") -}}
{{- end }}

{{/* Arguments: the model comes first, because vLLM 0.33 refuses --served-model-name before it and 0.5.3 knows no --model here. */}}
{{- define "vllm-fast-start.server.args" -}}
{{- $values := .root.Values -}}
{{- $args := list
  (include "vllm-fast-start.weights" (list "model" .))
  (printf "--served-model-name=%s" (include "vllm-fast-start.servedName" .root))
  (printf "--port=%d" (int64 $values.server.port))
  (printf "--tensor-parallel-size=%d" (int64 $values.gpusPerPod)) -}}
{{- if and $values.shutdown.drainSeconds (semverCompare ">=0.18.0-0" (include "vllm-fast-start.tagVersion" (include "vllm-fast-start.vllmVersion" .root))) -}}
{{- $args = append $args (printf "--shutdown-timeout=%d" (int64 $values.shutdown.drainSeconds)) -}}
{{- end -}}
{{- if include "vllm-fast-start.chatTemplate.configMap" .root -}}
{{- $args = append $args (printf "--chat-template=/etc/vllm-fast-start/chat-template/%s" (include "vllm-fast-start.chatTemplate.key" .root)) -}}
{{- end -}}
{{- concat $args (include "vllm-fast-start.weights" (list "args" .) | fromYamlArray) $values.server.args | toYaml -}}
{{- end }}

{{/* Name that clients ask for. */}}
{{- define "vllm-fast-start.servedName" -}}
{{- .Values.model.servedName | default .Values.model.name -}}
{{- end }}

{{/* Environment: the chart's, but for names that extraEnv gives again, which server-side apply would refuse; then extraEnv. */}}
{{- define "vllm-fast-start.server.env" -}}
{{- $extra := .root.Values.server.extraEnv -}}
{{- $names := list -}}
{{- range $extra }}{{ $names = append $names .name }}{{ end -}}
{{- $env := list -}}
{{- range include "vllm-fast-start.server.ownEnv" . | fromYamlArray -}}
{{- if not (has .name $names) }}{{ $env = append $env . }}{{ end -}}
{{- end -}}
{{- concat $env $extra | toYaml -}}
{{- end }}

{{/* Environment of the chart: every cache on the one writable volume, since the root file system is read-only. */}}
{{- define "vllm-fast-start.server.ownEnv" -}}
- {name: HOME, value: /cache}
- {name: USER, value: vllm}
- {name: XDG_CACHE_HOME, value: /cache/xdg}
- {name: XDG_CONFIG_HOME, value: /cache/config}
- {name: HF_HOME, value: /cache/huggingface}
- {name: VLLM_CACHE_ROOT, value: /cache/vllm}
- {name: TRITON_CACHE_DIR, value: /cache/triton}
- {name: TORCHINDUCTOR_CACHE_DIR, value: /cache/torchinductor}
- {name: FLASHINFER_WORKSPACE_BASE, value: /cache/flashinfer}
- {name: CUDA_CACHE_PATH, value: /cache/cuda}
- {name: VLLM_NO_USAGE_STATS, value: "1"}
- {name: DO_NOT_TRACK, value: "1"}
{{- if and .root.Values.server.apiKey.secretName (eq .root.Values.server.apiKey.as "env") }}
- name: VLLM_API_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.server.apiKey.secretName | quote }}
      key: {{ .root.Values.server.apiKey.key | quote }}
{{- end }}
{{- with include "vllm-fast-start.weights" (list "env" .) }}
{{ . }}
{{- end }}
{{- end }}

{{/* Resources of the server: the given ones and the GPUs, which Kubernetes wants alike in requests and limits. */}}
{{- define "vllm-fast-start.server.resources" -}}
{{- $gpus := dict "nvidia.com/gpu" (.Values.gpusPerPod | int64 | toString) -}}
{{- $requests := merge (dict) $gpus (.Values.resources.requests | default dict) -}}
{{- $limits := merge (dict) $gpus (.Values.resources.limits | default dict) -}}
{{- toYaml (dict "requests" $requests "limits" $limits) -}}
{{- end }}

{{/* Volume mounts of the server. */}}
{{- define "vllm-fast-start.server.mounts" -}}
- name: cache
  mountPath: /cache
- name: tmp
  mountPath: /tmp
- name: shm
  mountPath: /dev/shm
{{ include "vllm-fast-start.weights" (list "mounts" .) }}
{{- if include "vllm-fast-start.chatTemplate.configMap" .root }}
- name: chat-template
  mountPath: /etc/vllm-fast-start/chat-template
  readOnly: true
{{- end }}
{{- if eq (include "vllm-fast-start.server.keyFromFile" .root) "true" }}
- name: api-key
  mountPath: /etc/vllm-fast-start/api-key
  readOnly: true
{{- end }}
{{- with .root.Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Volumes of the pod. */}}
{{- define "vllm-fast-start.server.volumes" -}}
- name: cache
  emptyDir:
    sizeLimit: {{ .root.Values.server.cacheSizeGiB }}Gi
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
- name: shm
  emptyDir:
    medium: Memory
    sizeLimit: {{ .root.Values.server.shmSizeGiB }}Gi
{{ include "vllm-fast-start.weights" (list "volumes" .) }}
{{- with include "vllm-fast-start.chatTemplate.configMap" .root }}
- name: chat-template
  configMap:
    name: {{ . | quote }}
{{- end }}
{{- if eq (include "vllm-fast-start.server.keyFromFile" .root) "true" }}
- name: api-key
  secret:
    secretName: {{ .root.Values.server.apiKey.secretName | quote }}
    defaultMode: 0440
    items:
      - key: {{ .root.Values.server.apiKey.key | quote }}
        path: api-key
{{- end }}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* ConfigMap that holds the chat template; empty without one. */}}
{{- define "vllm-fast-start.chatTemplate.configMap" -}}
{{- if .Values.server.chatTemplate.inline -}}
{{- printf "%s-chat-template" (include "vllm-fast-start.fullname" .) -}}
{{- else -}}
{{- .Values.server.chatTemplate.configMapName -}}
{{- end -}}
{{- end }}

{{/* Key of the chat template in its ConfigMap. */}}
{{- define "vllm-fast-start.chatTemplate.key" -}}
{{- if .Values.server.chatTemplate.inline }}chat-template.jinja{{ else }}{{ .Values.server.chatTemplate.key }}{{ end -}}
{{- end }}

{{/* What the Deployment and its pods say about themselves, for `pylib validate` and for people. */}}
{{- define "vllm-fast-start.server.annotations" -}}
{{- $values := .root.Values -}}
{{- $facts := dict
  "vllm-fast-start/vllm-version" (include "vllm-fast-start.vllmVersion" .root)
  "vllm-fast-start/weights-kind" $values.weights.kind -}}
{{- with $values.model.sizeGiB }}{{ $_ := set $facts "vllm-fast-start/model-size-gib" (. | int64 | toString) }}{{ end -}}
{{- with .root.Values.model.shards }}{{ $_ := set $facts "vllm-fast-start/weight-shards" (. | int64 | toString) }}{{ end -}}
{{- with $values.imageCache.images }}{{ $_ := set $facts "vllm-fast-start/cached-images" (join "," .) }}{{ end -}}
{{- with .cell.machineType }}{{ $_ := set $facts "vllm-fast-start/machine-type" . }}{{ end -}}
{{- toYaml $facts -}}
{{- end }}

{{/* Annotations of the pod: the facts, a checksum that restarts pods when the inline chat template changes, then podAnnotations. */}}
{{- define "vllm-fast-start.server.podAnnotations" -}}
{{- $own := include "vllm-fast-start.server.annotations" . | fromYaml -}}
{{- with .root.Values.server.chatTemplate.inline }}{{ $_ := set $own "vllm-fast-start/chat-template-sha256" (sha256sum .) }}{{ end -}}
{{- merge $own .root.Values.podAnnotations | toYaml -}}
{{- end }}

{{/* Labels of the pod. */}}
{{- define "vllm-fast-start.podLabels" -}}
{{- include "vllm-fast-start.stableLabels" (dict "root" .root "component" "server" "selector" (include "vllm-fast-start.cellSelectorLabels" .) "extra" .root.Values.podLabels) -}}
{{- end }}
