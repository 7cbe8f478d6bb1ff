{{/* Labels of the download's pod: no versions, since whatever changes here makes a new Job. */}}
{{- define "vllm-fast-start.download.podLabels" -}}
{{- omit (include "vllm-fast-start.stableLabels" (dict "root" . "component" "download") | fromYaml) "app.kubernetes.io/version" | toYaml -}}
{{- end }}

{{/* Name of the claim that receives the model. */}}
{{- define "vllm-fast-start.download.claimName" -}}
{{- printf "%s-download" (include "vllm-fast-start.fullname" .) -}}
{{- end }}

{{/* Name of the Job: a Job cannot change, so its name ends in the hash of its spec. */}}
{{- define "vllm-fast-start.download.jobName" -}}
{{- printf "%s-download-%s" (include "vllm-fast-start.fullname" .) (include "vllm-fast-start.download.jobSpec" . | sha256sum | trunc 8) -}}
{{- end }}

{{/* Where the model lies below the disk's root: said, or the path that the source says. */}}
{{- define "vllm-fast-start.download.directory" -}}
{{- $path := regexReplaceAll "^(gs://[^/]+/|hf://)" .Values.download.source "" | trimSuffix "/" -}}
{{- .Values.download.directory | default $path -}}
{{- end }}

{{/* Spec of the Job. */}}
{{- define "vllm-fast-start.download.jobSpec" -}}
backoffLimit: {{ .Values.download.retries }}
activeDeadlineSeconds: {{ .Values.download.deadlineSeconds }}
completions: 1
parallelism: 1
podFailurePolicy:
  rules:
    # What a second attempt cannot mend: a wrong source, a full disk, files that contradict each other.
    - action: FailJob
      onExitCodes:
        containerName: download
        operator: In
        values: [2]
    # A node that goes away is no fault of the download.
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
template:
  metadata:
    labels:
      {{- include "vllm-fast-start.download.podLabels" . | nindent 6 }}
  spec:
    restartPolicy: Never
    serviceAccountName: {{ include "vllm-fast-start.serviceAccountName" . | quote }}
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- with .Values.imagePullSecrets }}
    imagePullSecrets:
      {{- range . }}
      - name: {{ . | quote }}
      {{- end }}
    {{- end }}
    {{- with .Values.tolerations }}
    tolerations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext:
      {{- include "vllm-fast-start.podSecurityContext" . | nindent 6 }}
    containers:
      - name: download
        image: {{ include "vllm-fast-start.image" .Values.download.image }}
        imagePullPolicy: IfNotPresent
        command:
          - python3
          - -B
          - -m
          - download
        args:
          - --source={{ .Values.download.source }}
          {{- with .Values.download.revision }}
          - --revision={{ . }}
          {{- end }}
          - --root=/data
          - --directory={{ include "vllm-fast-start.download.directory" . }}
          {{- if .Values.download.tokenSecret.name }}
          - --token-file=/etc/vllm-fast-start/hf-token/token
          {{- end }}
        env:
          - {name: PYTHONPATH, value: /scripts}
          - {name: HOME, value: /tmp}
          - {name: CLOUDSDK_CONFIG, value: /tmp/gcloud}
        resources:
          {{- toYaml .Values.download.resources | nindent 10 }}
        securityContext:
          {{- include "vllm-fast-start.securityContext" . | nindent 10 }}
        terminationMessagePolicy: FallbackToLogsOnError
        volumeMounts:
          - name: data
            mountPath: /data
          - name: tmp
            mountPath: /tmp
          - name: scripts
            mountPath: /scripts/download
            readOnly: true
          {{- if .Values.download.tokenSecret.name }}
          - name: hf-token
            mountPath: /etc/vllm-fast-start/hf-token
            readOnly: true
          {{- end }}
    volumes:
      - name: data
        persistentVolumeClaim:
          claimName: {{ include "vllm-fast-start.download.claimName" . | quote }}
      - name: tmp
        emptyDir:
          sizeLimit: 512Mi
      - name: scripts
        configMap:
          name: {{ include "vllm-fast-start.fullname" . }}-scripts
      {{- if .Values.download.tokenSecret.name }}
      - name: hf-token
        secret:
          secretName: {{ .Values.download.tokenSecret.name | quote }}
          defaultMode: 0440
          items:
            - key: {{ .Values.download.tokenSecret.key | quote }}
              path: token
      {{- end }}
{{- end }}
