{{/*
What the kinds share whose weights lie in a volume before the pod starts: the model's path, offline
mode, the read-only mount and the check of the files.
*/}}

{{/* Path of the model below the volume's root. */}}
{{- define "vllm-fast-start.weights.local.path" -}}
{{- with .Values.model.directory }}{{ . }}/{{ end }}{{ .Values.model.name }}
{{- end }}

{{/* Environment that keeps the Hugging Face libraries off the network. */}}
{{- define "vllm-fast-start.weights.local.env" -}}
- {name: HF_HUB_OFFLINE, value: "1"}
- {name: TRANSFORMERS_OFFLINE, value: "1"}
{{- end }}

{{/* "true" when the files are checked, which a script of the ConfigMap does. */}}
{{- define "vllm-fast-start.weights.local.usesScripts" -}}
{{- eq .root.Values.weights.verify "manifest" -}}
{{- end }}

{{/* Volumes: the claim, and the script that checks what is in it; takes {at, claim}. */}}
{{- define "vllm-fast-start.weights.local.volumes" -}}
- name: weights
  persistentVolumeClaim:
    claimName: {{ .claim | quote }}
    readOnly: true
{{- if eq (include "vllm-fast-start.weights.local.usesScripts" .at) "true" }}
- name: scripts
  configMap:
    name: {{ include "vllm-fast-start.fullname" .at.root }}-scripts
{{- end }}
{{- end }}

{{/* Mount of the weights; takes {subPath}. */}}
{{- define "vllm-fast-start.weights.local.mounts" -}}
- name: weights
  mountPath: /model-data
  readOnly: true
  {{- with .subPath }}
  subPath: {{ . | quote }}
  {{- end }}
{{- end }}

{{/* Init container that fails in a second where vLLM would fail in a minute; takes {at, subPath, manifestSha256}. */}}
{{- define "vllm-fast-start.weights.local.initContainers" -}}
{{- if eq (include "vllm-fast-start.weights.local.usesScripts" .at) "true" -}}
- name: check-weights
  image: {{ include "vllm-fast-start.serverImage" .at.root }}
  imagePullPolicy: {{ .at.root.Values.image.pullPolicy }}
  command:
    - python3
    - -B
    - /scripts/check_weights.py
  args:
    - --root=/model-data
    - --model={{ include "vllm-fast-start.weights.local.path" .at.root }}
    {{- with .manifestSha256 }}
    - --manifest-sha256={{ . }}
    {{- end }}
  resources:
    requests: {cpu: 100m, memory: 128Mi, ephemeral-storage: 16Mi}
    # With a CPU limit, unlike the server: a quota on `limits.cpu` wants one of every container.
    limits: {cpu: "1", memory: 128Mi, ephemeral-storage: 16Mi}
  securityContext:
    {{- include "vllm-fast-start.securityContext" .at.root | nindent 4 }}
  volumeMounts:
    {{- include "vllm-fast-start.weights.local.mounts" . | nindent 4 }}
    - name: scripts
      mountPath: /scripts
      readOnly: true
{{- end }}
{{- end }}
