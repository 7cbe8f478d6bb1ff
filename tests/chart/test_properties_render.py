"""Whatever a config may hold, helm renders it and kubeconform accepts what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pylib.config.parse import parse_config
from pylib.errors import ConfigError
from pylib.lock import parse_lock
from pylib.release import Release
from pylib.render import render_all
from pylib.validate.kubeconform import check
from pylib.values import lock_problems, make_values
from pylib.yamlio import dump

ZONES = ("us-central1-a", "us-central1-b", "us-central1-c")
REVISION = "3f2a9c01b7de"

# Text that a template engine, a shell or YAML could stumble over.
awkward = st.one_of(
    st.sampled_from(
        [
            "{{ .Values.cells }}",
            "$(HOME)",
            "'; rm -rf / #",
            '"quoted"',
            "a: b",
            "- x",
            "null",
            "yes",
            "0x10",
            "1e3",
            "line\nline",
            "\u200b\u2028é漢",
            " leading",
            "#comment",
            "&anchor *alias",
            "%TAG",
            "`tick`",
            "\\",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
)
# Names that YAML would read as something else stand in for the many that it would not.
words = st.sampled_from(["no", "on", "y", "null", "true", "e1"]) | st.from_regex(
    r"[a-z][a-z0-9]{0,7}", fullmatch=True
)


@st.composite
def cells(draw: st.DrawFn) -> list[dict[str, Any]]:
    chosen = draw(st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True))
    made = []
    for zone in chosen:
        pooled = draw(st.booleans())
        place = {"nodePool": {"name": "pool"}} if pooled else {"computeClass": {"name": "c"}}
        bought = draw(st.sampled_from(["spot", "flex-start"])) if pooled else "on-demand"
        cell = {"name": zone[-1], "zone": zone, "machineType": "g2-standard-24", **place}
        made.append(
            {**cell, "provisioning": bought, "accelerator": {"type": "nvidia-l4", "count": 2}}
        )
    return made


@st.composite
def weights(draw: st.DrawFn, names: list[str]) -> dict[str, Any]:
    kind = draw(st.sampled_from(["disk", "claim", "none"]))
    if kind == "claim":
        return {"kind": kind, "claims": dict.fromkeys(names, "shared")}
    if kind == "none":
        return {"kind": kind, "sizeGiB": draw(st.integers(16, 1000))}
    return {
        "kind": kind,
        "type": draw(st.sampled_from(["pd-ssd", "pd-balanced", "hyperdisk-ml"])),
        "sizeGiB": draw(st.integers(16, 65_536)),
        "readAheadKiB": 4 * draw(st.integers(1, 262_144)),
    }


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    places = draw(cells())
    scaling = {
        "enabled": draw(st.booleans()),
        "source": draw(st.sampled_from(["stackdriver", "gke"])),
        "metric": draw(st.sampled_from(["running", "waiting", "both"])),
        "targetRunning": draw(st.integers(1, 1000)),
        "maxReplicas": draw(st.integers(1, 1000)),
    }
    serving: dict[str, Any] = {
        "vllmVersion": draw(st.sampled_from(["0.5.3", "0.18.0", "0.33.0"])),
        "tensorParallelism": draw(st.integers(1, 2)),
        "args": draw(st.lists(awkward.filter(bool), max_size=3)),
        "env": draw(st.dictionaries(words.map(str.upper), awkward, max_size=3)),
        "drainSeconds": draw(st.integers(1, 604_800)),
    }
    if draw(st.booleans()):
        form = draw(st.sampled_from(["env", "file"]))
        serving["apiKey"] = {"secret": {"name": draw(words)}, "form": form}
    return {
        "version": 1,
        "project": "my-project",
        "region": "us-central1",
        "cluster": {"name": "gke"},
        "release": {"name": draw(words), "namespace": draw(words)},
        "model": {
            "source": "hf://org/model.name_1",
            "sizeGiB": draw(st.integers(1, 16)),
            "servedName": draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]*", fullmatch=True)),
        },
        "weights": draw(weights([place["name"] for place in places])),
        "cells": places,
        "serving": serving,
        "autoscaling": scaling,
        "monitoring": {"rules": draw(st.booleans())},
    }


def release(config: dict[str, Any], index: int) -> Release | None:
    """The release of a config, with a lock that fits; ``None`` for a config that is refused."""
    try:
        parsed = parse_config(dump(config))
    except ConfigError:
        return None
    kind = config["weights"]
    disks = {
        cell["name"]: {
            "name": "disk",
            "zone": cell["zone"],
            "type": kind.get("type", "pd-ssd"),
            "sizeGiB": kind.get("sizeGiB", 100),
        }
        for cell in config["cells"]
    }
    revision = {"name": REVISION, "disks": disks}
    lock = parse_lock(
        dump({"version": 1, "weights": {"current": REVISION, "revisions": [revision]}})
    )
    assert not list(lock_problems(parsed, lock))
    values = make_values(parsed, lock)
    names = parsed.release
    return Release(Path(f"case-{index}/config.yaml"), names.name, names.namespace, values, "")


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # each step runs helm: shrinking would take an hour
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(configs(), min_size=8, max_size=8))
def test_every_config_that_parses_renders_to_what_kubeconform_accepts(
    many: list[dict[str, Any]],
) -> None:
    releases = [made for index, config in enumerate(many) if (made := release(config, index))]
    assert releases  # most parse: what is drawn clashes seldom
    manifests = [m for rendered in render_all(releases) for m in rendered.manifests]

    findings, unchecked = check(manifests, "1.36")

    assert [f for f in findings if f.severity != "note"] == []
    assert unchecked == []
