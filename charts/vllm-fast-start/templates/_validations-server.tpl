{{/* Rules about the image, the server and its resources; see _validations.tpl. */}}

{{- define "vllm-fast-start.validate.image.version" -}}
{{- $tag := include "vllm-fast-start.tagVersion" .Values.image.tag -}}
{{- $said := include "vllm-fast-start.tagVersion" .Values.vllmVersion -}}
{{- if and $tag $said (ne $tag $said) }}
image.tag {{ .Values.image.tag | quote }} is vLLM {{ $tag }} and vllmVersion is {{ .Values.vllmVersion | quote }}: arguments would be chosen for the wrong version.
Please set:
vllmVersion: {{ $tag | quote }}
{{ end -}}
{{- if and (or .Values.image.digest .Values.image.tag) (not (or $tag $said)) }}
image.tag {{ .Values.image.tag | quote }} does not tell the version of vLLM and vllmVersion is empty, so the chart cannot know which arguments this image takes.
Please set the version that is in the image:
vllmVersion: {{ .Chart.AppVersion | quote }}
{{ end -}}
{{- end }}

{{- define "vllm-fast-start.validate.image.cache" -}}
{{- with .Values.imageCache.images -}}
{{- $image := include "vllm-fast-start.serverImage" $ -}}
{{- $tagged := regexReplaceAll "@.*$" $image "" -}}
{{- $pinned := regexReplaceAll ":[^:/@]+@" $image "@" -}}
{{- $known := list $image $tagged $pinned -}}
{{- $hit := false -}}
{{- range . -}}
{{- $full := regexMatch "^[^/]*[.:][^/]*/" . | ternary . (printf "docker.io/%s" .) -}}
{{- $untied := and (not $.Values.image.digest) (eq (regexReplaceAll "@.*$" $full "") $tagged) -}}
{{- if or (has $full $known) $untied }}{{ $hit = true }}{{ end -}}
{{- end -}}
{{- if not $hit }}
The image {{ $image | quote }} is not on the image cache, which holds {{ join ", " . }}: each new node would pull it.
Please deploy an image that is cached, or bake a cache that holds this one and list it:
imageCache:
  images:
    - {{ $image }}
{{ end -}}
{{- end -}}
{{- end }}

{{- define "vllm-fast-start.validate.resources.gpus" -}}
{{- range $kind := list "requests" "limits" -}}
{{- with get ($.Values.resources | default dict) $kind -}}
{{- if hasKey . "nvidia.com/gpu" }}
resources.{{ $kind }} has nvidia.com/gpu {{ get . "nvidia.com/gpu" }} and gpusPerPod is {{ $.Values.gpusPerPod }}: one value sets the GPUs and --tensor-parallel-size alike.
Please set, and drop it from resources.{{ $kind }}:
gpusPerPod: {{ get . "nvidia.com/gpu" }}
{{ end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Volumes in memory or on the node's disk count against the pod's limits; beyond them the kubelet evicts it. */}}
{{- define "vllm-fast-start.validate.resources.volumes" -}}
{{- $limits := .Values.resources.limits | default dict -}}
{{- $memory := include "vllm-fast-start.gib" (get $limits "memory") -}}
{{- $shm := int .Values.server.shmSizeGiB -}}
{{- if and $memory (ge $shm (int $memory)) }}
server.shmSizeGiB {{ $shm }} takes all of resources.limits.memory {{ $memory }}Gi, which /dev/shm counts against.
Please set a smaller /dev/shm or more memory:
server:
  shmSizeGiB: {{ max 1 (div (int $memory) 4) }}
{{ end -}}
{{- $storage := include "vllm-fast-start.gib" (get $limits "ephemeral-storage") -}}
{{- $weights := include "vllm-fast-start.weights" (list "ephemeralGiB" (dict "root" .)) | int -}}
{{- $need := add .Values.server.cacheSizeGiB $weights 1 -}}
{{- if and $storage (gt $need (int $storage)) }}
resources.limits.ephemeral-storage {{ $storage }}Gi is less than the {{ $need }} GiB that the pod's volumes may take (server.cacheSizeGiB {{ .Values.server.cacheSizeGiB }}, weights {{ $weights }}, /tmp 1): the kubelet would evict it.
Please set:
resources:
  requests:
    ephemeral-storage: {{ add $need 1 }}Gi
  limits:
    ephemeral-storage: {{ add $need 1 }}Gi
{{ end -}}
{{- end }}

{{- define "vllm-fast-start.validate.labels" -}}
{{- range $path, $labels := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels -}}
{{- range list "app" "cell" -}}
{{- if hasKey $labels . }}
{{ $path }} sets the label {{ . | quote }}, by which the Service and the Deployments find their pods.
Please use another name:
{{ $path }}:
  my-{{ . }}: {{ get $labels . }}
{{ end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Arguments that follow from other values. */}}
{{- define "vllm-fast-start.validate.server.args" -}}
{{- $owned := dict
  "--model" "model.name"
  "--served-model-name" "model.servedName"
  "--port" "server.port"
  "--tensor-parallel-size" "gpusPerPod"
  "-tp" "gpusPerPod"
  "--shutdown-timeout" "shutdown.drainSeconds"
  "--chat-template" "server.chatTemplate"
  "--api-key" "server.apiKey.secretName" -}}
{{- range $index, $arg := .Values.server.args -}}
{{- $flag := regexReplaceAll "=.*$" $arg "" | replace "_" "-" -}}
{{- with get $owned $flag }}
server.args[{{ $index }}] is {{ $flag | quote }}, which the chart sets from {{ . }}.
Please drop the argument and set {{ . }}.
{{ end -}}
{{- end -}}
{{- end }}

{{/* Secrets come from Secrets: a value in the manifest is readable by all who may read Deployments or Helm's history. */}}
{{- define "vllm-fast-start.validate.server.secrets" -}}
{{- range $index, $env := .Values.server.extraEnv -}}
{{- if and (has $env.name (list "VLLM_API_KEY" "HF_TOKEN" "HUGGING_FACE_HUB_TOKEN")) $env.value }}
server.extraEnv[{{ $index }}] gives {{ $env.name }} as plain text, which then stands in the Deployment and in Helm's history.
Please put it into a Secret and refer to that:
server:
  extraEnv:
    - name: {{ $env.name }}
      valueFrom:
        secretKeyRef:
          name: <secret>
          key: <key>
{{ end -}}
{{- end -}}
{{- end }}

{{- define "vllm-fast-start.validate.server.chatTemplate" -}}
{{- $template := .Values.server.chatTemplate -}}
{{- if and $template.inline $template.configMapName }}
server.chatTemplate has both inline text and configMapName {{ $template.configMapName | quote }}.
Please drop one of them:
server:
  chatTemplate:
    inline: ""
{{ end -}}
{{- end }}

{{- define "vllm-fast-start.validate.strategy" -}}
{{- $rolling := .Values.strategy.rollingUpdate | default dict -}}
{{- $stuck := and (eq (toString $rolling.maxSurge) "0") (eq (toString $rolling.maxUnavailable) "0") -}}
{{- if and (ne .Values.strategy.type "Recreate") $stuck }}
strategy.rollingUpdate has maxSurge 0 and maxUnavailable 0: no pod could ever be replaced.
Please set, when there is no spare GPU node:
strategy:
  rollingUpdate:
    maxSurge: 0
    maxUnavailable: 1
{{ end -}}
{{- end }}
