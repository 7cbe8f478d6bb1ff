{{/*
What volumes and claims that are there already would do to this release. `lookup` finds nothing in `helm template`
and in a dry run on the client. Helm itself reads each object of a release, so this takes no right that Helm lacks.
*/}}

{{/* Problems with the live objects of every cell's revisions; takes the root. */}}
{{- define "vllm-fast-start.weights.disk.validateLive" -}}
{{- range $cell := .Values.cells -}}
{{- $at := dict "root" $ "cell" $cell -}}
{{- range $index, $revision := $.Values.weights.disk.revisions -}}
{{- $named := dict "at" $at "revision" $revision.name -}}
{{- $claim := include "vllm-fast-start.weights.disk.claimName" $named -}}
{{- $volume := include "vllm-fast-start.weights.disk.volumeName" $named -}}
{{- $live := dict
  "claim" (lookup "v1" "PersistentVolumeClaim" $.Release.Namespace $claim)
  "volume" (lookup "v1" "PersistentVolume" "" $volume) -}}
{{- if dig "metadata" "deletionTimestamp" "" $live.claim }}
{{ include "vllm-fast-start.weights.disk.isGoing" $live.claim }}
{{ else if dig "metadata" "deletionTimestamp" "" $live.volume }}
{{ include "vllm-fast-start.weights.disk.isGoing" $live.volume }}
{{ else if eq (dig "status" "phase" "" $live.volume) "Released" }}
{{ include "vllm-fast-start.weights.disk.isReleased" $live.volume }}
{{ else if $live.volume }}
{{ include "vllm-fast-start.weights.disk.isOther" (dict "live" $live "at" $at "revision" $revision "index" $index) }}
{{ end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* An object that is being deleted would be taken over by Helm, and then go. */}}
{{- define "vllm-fast-start.weights.disk.isGoing" -}}
{{- $where := dig "metadata" "namespace" "" . -}}
{{ .kind }} {{ .metadata.name | quote }} is being deleted, and goes when the last pod that mounts it has ended: what is installed now would lose it.
Please wait for that, then run the same command again:
kubectl {{ with $where }}-n {{ . }} {{ end }}wait --for=delete {{ lower .kind }}/{{ .metadata.name }} --timeout=10m
{{- end }}

{{/* Kubernetes ties a volume to one claim's uid for good, so that nobody reads what somebody else left. */}}
{{- define "vllm-fast-start.weights.disk.isReleased" -}}
PersistentVolume {{ .metadata.name | quote }} is Released: it stays tied to a claim that was deleted, so a new claim would be Pending for ever.
Please delete the volume object and run the same command again; its disk {{ .spec.csi.volumeHandle | quote }} stays as it is:
kubectl delete persistentvolume/{{ .metadata.name }}
{{- end }}

{{/* What cannot change in a volume, which the API server would say half-way through an upgrade; takes {live, at, revision, index}. */}}
{{- define "vllm-fast-start.weights.disk.isOther" -}}
{{- $disk := .at.root.Values.weights.disk -}}
{{- $csi := dig "spec" "csi" dict .live.volume -}}
{{- $size := dig "spec" "resources" "requests" "storage" "" .live.claim -}}
{{- $facts := list
  (list "is on disk" (dig "volumeHandle" "" $csi) (include "vllm-fast-start.weights.disk.volumeHandle" (dict "at" .at "revision" .revision)))
  (list "has file system" (dig "fsType" "" $csi) $disk.fsType)
  (list "has GiB" (include "vllm-fast-start.gib" $size) (.revision.sizeGiB | default $disk.sizeGiB | toString)) -}}
{{- range $fact := $facts -}}
{{- if and (index $fact 1) (ne (index $fact 1) (index $fact 2)) }}
PersistentVolume {{ $.live.volume.metadata.name | quote }} {{ index $fact 0 }} {{ index $fact 1 | quote }}, and weights.disk.revisions[{{ $.index }}] makes that {{ index $fact 2 | quote }}: a volume cannot change.
Please leave that revision as it was, and add one with a name of its own:
weights:
  disk:
    current: {{ $.revision.name }}-2
    revisions:
      - name: {{ $.revision.name }}-2
        disks: {{ "{" }}{{ include "vllm-fast-start.cellName" $.at }}: <its disk>}
{{ end -}}
{{- end -}}
{{- end }}
