"""PodMonitoring and alert rules for Google Managed Prometheus."""

from typing import Any

from tests.chart.helmtool import merged, serve
from tests.chart.test_cells import TWO

RULES: dict[str, Any] = {"monitoring": {"rules": {"enabled": True, "pendingMinutes": 7}}}


def rules(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The alert rules of a release, by name."""
    (group,) = serve(values).one("Rules").get("spec", "groups")
    return {rule["alert"]: rule for rule in group["rules"]}


def test_pods_are_scraped_by_the_name_of_the_port() -> None:
    monitoring = serve({"monitoring": {"podMonitoring": {"interval": "5s"}}}).one("PodMonitoring")
    assert monitoring.api_version == "monitoring.googleapis.com/v1"
    endpoints = [{"port": "http", "path": "/metrics", "interval": "5s"}]
    assert monitoring.get("spec", "endpoints") == endpoints


def test_the_label_pod_stays_which_the_metrics_adapter_needs() -> None:
    labels = serve().one("PodMonitoring").get("spec", "targetLabels")
    assert labels == {
        "metadata": ["container", "pod", "top_level_controller_name", "top_level_controller_type"],
        "fromPod": [{"from": "cell", "to": "cell"}],
    }


def test_monitoring_can_be_left_to_the_cluster() -> None:
    values = {"monitoring": {"podMonitoring": {"enabled": False}}}
    assert "PodMonitoring" not in serve(values).kinds()


def test_there_are_no_alert_rules_by_default() -> None:
    assert "Rules" not in serve().kinds()


def test_a_start_over_budget_alerts() -> None:
    rule = rules(merged(RULES, {"startup": {"budgetSeconds": 450}}))["VllmStartOverBudget"]
    assert rule["for"] == "450s"
    assert 'kube_pod_container_status_ready{container="vllm",pod=~"vllm-us-' in rule["expr"]
    assert rule["annotations"]["summary"] == (
        "vLLM pod {{ $labels.pod }} is not ready after its start budget of 450 s"
    )


def test_the_alert_names_the_container_that_exists() -> None:
    assert serve().server()["name"] == "vllm"


def test_a_pod_pending_too_long_alerts() -> None:
    rule = rules(RULES)["VllmPodPending"]
    assert rule["for"] == "7m"
    assert rule["annotations"]["summary"] == (
        "vLLM pod {{ $labels.pod }} has been pending for 7 minutes"
    )
    pattern = "vllm-us-central1-a-[a-z0-9]+-[a-z0-9]+"
    assert rule["expr"] == f'kube_pod_status_phase{{phase="Pending",pod=~"{pattern}"}} == 1'


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    found = rules(merged(RULES, {"autoscaling": {"enabled": True}}))
    assert {name: rule["labels"]["severity"] for name, rule in found.items()} == {
        "VllmStartOverBudget": "warning",
        "VllmPodPending": "warning",
        "VllmAutoscalerBlind": "critical",
    }
    for rule in found.values():
        assert rule["annotations"].keys() == {"summary", "description"}


def test_a_blind_autoscaler_alerts_only_where_there_is_one() -> None:
    assert "VllmAutoscalerBlind" not in rules(RULES)
    scaled = {"autoscaling": {"enabled": True, "metric": "waiting"}}
    rule = rules(merged(RULES, scaled))["VllmAutoscalerBlind"]
    pod = "vllm-us-central1-a-[a-z0-9]+-[a-z0-9]+"
    assert rule["expr"] == (
        'sum(kube_deployment_status_replicas_available{deployment=~"vllm-us-central1-a"}) > 0 '
        f'unless on () count(vllm:num_requests_waiting{{pod=~"{pod}"}})'
    )
    assert rule["for"] == "10m"


def test_alerts_watch_the_pods_of_every_cell() -> None:
    rule = rules(merged(TWO, RULES))["VllmPodPending"]
    pods = "vllm-us-central1-a-[a-z0-9]+-[a-z0-9]+|vllm-b-[a-z0-9]+-[a-z0-9]+"
    assert f'pod=~"{pods}"' in rule["expr"]
