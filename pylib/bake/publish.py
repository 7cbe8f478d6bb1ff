"""From a candidate to an image that others may use: labels first, the family last."""

from __future__ import annotations

from pylib.bake.plan import EXPIRES, PHASE, PUBLISHED
from pylib.bake.target import Target, ours, published
from pylib.bake.workbench import AGAIN, Workbench
from pylib.cloud.faults import CallError, Class, Kind
from pylib.cloud.records import Image
from pylib.cloud.wait import wait
from pylib.errors import BakeError

PUBLISH_SECONDS = 600
_TRIES = 6
_PAUSE = 5.0


def publish(bench: Workbench, target: Target, image_id: str, family: str | None) -> Image:
    """The image, published; a call whose answer was lost, and one that somebody's change of the
    labels crossed, are seen by looking again.

    Raises :class:`BakeError` when the image is not the one that was checked, and CallError.
    """
    for attempt in range(_TRIES):
        image = _checked(bench, target, image_id)
        try:
            if not published(image):
                _label(bench, image)
            elif family and image.family != family:
                _join(bench, image, family)
            else:
                return image
        except CallError as error:
            again = error.action is Class.RECONCILE or error.kind in {*AGAIN, Kind.CONDITION}
            if not again or attempt == _TRIES - 1:
                raise
            bench.compute.clock.sleep(_PAUSE)
    raise BakeError(f"{target}: its labels do not stay as they are set; it is not published.")


def _checked(bench: Workbench, target: Target, image_id: str) -> Image:
    found = target.find(bench.compute)
    if not isinstance(found, Image) or not ours(found, bench.run_id, image_id):
        raise BakeError(f"{target} is not the image that was checked any more; not published.")
    return found


def _label(bench: Workbench, image: Image) -> None:
    labels = {key: value for key, value in image.labels.items() if key != EXPIRES}
    bench.note("label", "begin-change", image=image.link)
    operation = bench.compute.label_image(image, {**labels, PHASE: PUBLISHED})
    wait(bench.compute, operation, PUBLISH_SECONDS)


def _join(bench: Workbench, image: Image, family: str) -> None:
    request_id = bench.new_id()
    bench.note("family", "begin-change", request_id, image=image.link)
    wait(bench.compute, bench.compute.set_family(image, family, request_id), PUBLISH_SECONDS)
