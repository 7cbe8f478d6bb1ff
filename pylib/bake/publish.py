"""From a candidate to an image that others may use: what is inside first, the family last."""

from __future__ import annotations

from dataclasses import dataclass

from pylib.bake.plan import EXPIRES, PHASE, PUBLISHED
from pylib.bake.target import Target, ours, published
from pylib.bake.workbench import AGAIN, Workbench
from pylib.cloud.faults import CallError, Class, Kind
from pylib.cloud.records import Image, Labels
from pylib.cloud.wait import wait
from pylib.errors import BakeError

PUBLISH_SECONDS = 600
_TRIES = 8
_PAUSE = 5.0


@dataclass(frozen=True)
class About:
    """What a published image says of itself; an empty ``family`` is none."""

    description: str
    labels: Labels
    family: str


def publish(bench: Workbench, target: Target, image_id: str, about: About) -> Image:
    """The image, published; a call whose answer was lost, and one that somebody's change of the
    labels crossed, are seen by looking again.

    Raises :class:`BakeError` when the image is not the one that was checked, and CallError.
    """
    for attempt in range(_TRIES):
        image = _checked(bench, target, image_id)
        try:
            if not _change(bench, image, about):
                return image
        except CallError as error:
            again = error.action is Class.RECONCILE or error.kind in {*AGAIN, Kind.CONDITION}
            if not again or attempt == _TRIES - 1:
                raise
            bench.compute.clock.sleep(_PAUSE)
    raise BakeError(f"{target}: its labels do not stay as they are set; it is not published.")


def _change(bench: Workbench, image: Image, about: About) -> bool:
    """Make the next change that is due; ``False`` when there is none."""
    compute = bench.compute
    if not published(image) and image.description != about.description:
        request_id = _noted(bench, "describe", image)
        operation = compute.describe_image(image, about.description, request_id)
    elif not published(image):
        kept = {key: value for key, value in image.labels.items() if key != EXPIRES}
        bench.note("label", "begin-change", image=image.link)
        operation = compute.label_image(image, {**kept, **about.labels, PHASE: PUBLISHED})
    elif about.family and image.family != about.family:
        request_id = _noted(bench, "family", image)
        operation = compute.set_family(image, about.family, request_id)
    else:
        return False
    wait(compute, operation, PUBLISH_SECONDS)
    return True


def _noted(bench: Workbench, step: str, image: Image) -> str:
    """The id of a request that is journalled now."""
    request_id = bench.new_id()
    bench.note(step, "begin-change", request_id, image=image.link)
    return request_id


def _checked(bench: Workbench, target: Target, image_id: str) -> Image:
    found = target.find(bench.compute)
    if not isinstance(found, Image) or not ours(found, bench.run_id, image_id):
        raise BakeError(f"{target} is not the image that was checked any more; not published.")
    return found
