{{/* Egress to any DNS server: kube-dns and NodeLocal DNSCache have different addresses. */}}
{{- define "vllm-fast-start.egress.dns" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{/* Egress by HTTPS, to hosts whose addresses change. */}}
{{- define "vllm-fast-start.egress.https" -}}
- ports:
    - {protocol: TCP, port: 443}
{{- end }}

{{/* Egress to GKE's metadata server, which hands out Workload Identity's tokens: https://cloud.google.com/kubernetes-engine/docs/how-to/network-policy */}}
{{- define "vllm-fast-start.egress.metadata" -}}
- to:
    - ipBlock: {cidr: 169.254.169.252/32}
  ports:
    - {protocol: TCP, port: 988}
- to:
    - ipBlock: {cidr: 169.254.169.254/32}
  ports:
    - {protocol: TCP, port: 80}
{{- end }}
