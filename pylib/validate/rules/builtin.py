"""What is found outside of rule functions: by schemas, and about waivers; named and explained."""

from __future__ import annotations

from pylib.validate.report import Severity
from pylib.validate.rules.registry import declare

SCHEMA = declare(
    name="schema",
    severity=Severity.ERROR,
    summary="An object matches the schema of its kind",
    explain=(
        "kubeconform holds every object against the strict JSON schema of its kind and Kubernetes "
        "version. A field of the wrong type is refused by the API server; an unknown field is "
        "dropped by it in silence unless the client asks for strict validation, so a typo under a "
        "pod's spec would go unnoticed. Kubernetes' own schemas are those of the kubernetes-"
        "validate package, made from Kubernetes' OpenAPI documents. Write the field as the message "
        "says, or see it with kubectl explain."
    ),
)

SCHEMA_FROM_DOCUMENTATION = declare(
    name="schema-from-documentation",
    severity=Severity.NOTE,
    summary="A kind was checked against a schema that was written from documentation alone",
    explain=(
        "The definition of this custom resource is not published, so its schema here was written "
        "from the vendor's documentation. A field that the schema does not know is therefore a "
        "warning and not an error. kubectl apply --dry-run=server against a cluster that has the "
        "definition is the last word."
    ),
)

UNKNOWN_KIND = declare(
    name="unknown-kind",
    severity=Severity.ERROR,
    summary="Kubernetes serves the object's kind in its apiVersion",
    explain=(
        "The API group is Kubernetes' own, and this version of Kubernetes has no such kind in it: "
        "the kind or the apiVersion is mistyped, or the API was removed. Removed APIs: "
        "https://kubernetes.io/docs/reference/using-api/deprecation-guide/. Write an apiVersion "
        "that the version serves, or check with another --kubernetes."
    ),
)

VALUES_SCHEMA = declare(
    name="values-schema",
    severity=Severity.ERROR,
    summary="Values match the chart's values.schema.json",
    explain=(
        "Helm refuses to render values that break the chart's schema, with one error at a time in "
        "some versions. The schema is closed: a misspelt key is an error and not ignored. Each "
        "breach is reported here with its path. See the chart's README for every value."
    ),
)

WAIVER_EXPIRED = declare(
    name="waiver-expired",
    severity=Severity.WARNING,
    summary="No waiver is past its last day",
    explain=(
        "A waiver accepts a finding until a day. After it the finding counts again, so that an "
        "exception does not outlive its reason. Mend the finding, or renew the waiver."
    ),
)

WAIVER_UNUSED = declare(
    name="waiver-unused",
    severity=Severity.WARNING,
    summary="Every waiver covers a finding",
    explain=(
        "A waiver that covers nothing is a leftover, or its object is misspelt and the finding it "
        "was meant for stands. Take it out, or correct its object: a glob on Kind/namespace/name."
    ),
)
