"""The one retry layer: how long, how often, and what is left when it ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pylib.cloud.faults import FIXES, CallError, Class, Kind, kind_of
from pylib.cloud.redact import redact
from pylib.cloud.retry import Policy, Retry
from tests.cloud.fake_parts import ManualClock


class _Jitter:
    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


class _Answers:
    """Raises each kind in turn, then returns 1."""

    def __init__(self, kinds: list[Kind]) -> None:
        self.kinds = kinds
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= len(self.kinds):
            raise CallError("x", self.kinds[self.calls - 1], "no")
        return 1


def _outcome(retry: Retry, answers: _Answers) -> int | Kind:
    try:
        return retry.call("x", answers)
    except CallError as error:
        return error.kind


def test_waits_double_up_to_the_longest_with_jitter_over_the_upper_half() -> None:
    for jitter, total in ((0.0, 0.5 + 1 + 2 + 4 + 4), (1.0, 1 + 2 + 4 + 8 + 8)):
        clock = ManualClock(0)
        retry = Retry(clock, Policy(tries=6, first=1, longest=8), _Jitter(jitter))
        assert _outcome(retry, _Answers([Kind.TRANSIENT] * 5)) == 1
        assert clock.now == total


def test_tries_and_time_are_bounded() -> None:
    clock = ManualClock(0)
    retry = Retry(clock, Policy(tries=3), _Jitter(1))
    answers = _Answers([Kind.TRANSIENT] * 9)
    assert _outcome(retry, answers) is Kind.UNKNOWN
    assert answers.calls == 3
    assert retry.counts == {"x": 3}
    clock = ManualClock(0)
    retry = Retry(clock, Policy(tries=99, longest=60, limit=100), _Jitter(1))
    assert _outcome(retry, _Answers([Kind.TRANSIENT] * 99)) is Kind.UNKNOWN
    assert clock.now <= 100


@given(st.lists(st.sampled_from(Kind), max_size=12))
def test_only_retryable_kinds_are_repeated_and_a_lost_try_makes_the_end_unknown(
    kinds: list[Kind],
) -> None:
    clock, answers = ManualClock(0), _Answers(kinds)
    found = _outcome(Retry(clock, Policy(tries=5), _Jitter(0.5)), answers)
    passing = (Kind.TRANSIENT, Kind.RATE)
    first_other = next((i for i, kind in enumerate(kinds) if kind not in passing), len(kinds))
    assert answers.calls == min(first_other + 1, 5)
    if first_other >= 5:
        assert found is (Kind.UNKNOWN if Kind.TRANSIENT in kinds[:5] else Kind.RATE)
    else:
        assert found == (kinds[first_other] if first_other < len(kinds) else 1)


def test_every_kind_has_a_next_step_and_a_class() -> None:
    assert set(FIXES) == set(Kind)
    classes = {kind: CallError("x", kind, "m").action for kind in Kind}
    assert {kind for kind, it in classes.items() if it is Class.RETRY} == {
        Kind.TRANSIENT,
        Kind.RATE,
    }
    assert {kind for kind, it in classes.items() if it is Class.RECONCILE} == {
        Kind.EXISTS,
        Kind.UNKNOWN,
    }
    assert classes[Kind.STOCKOUT] is Class.OTHER_ZONE


def test_a_reason_outweighs_the_status() -> None:
    assert kind_of("rateLimitExceeded", 403) is Kind.RATE
    assert kind_of("", 403) is Kind.DENIED
    assert kind_of("", 500) is Kind.TRANSIENT
    assert kind_of("somethingNew", 400) is Kind.INVALID
    assert kind_of("", 0, "Constraint constraints/x") is Kind.POLICY


def test_secrets_are_taken_out_and_the_rest_stays() -> None:
    said = 'GET /x?access_token=abc&y=1 {"token": "t0k", "name": "disk"} https://me:pw@host/'
    found = redact(said)
    assert "abc" not in found
    assert "t0k" not in found
    assert "pw" not in found
    assert '"name": "disk"' in found
    assert "&y=1" in found
