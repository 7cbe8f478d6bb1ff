"""From a snapshot to the time each start-up phase took; as text, JSON and SVG.  Pure."""

from __future__ import annotations

from pylib.timeline.building import timeline
from pylib.timeline.model import Certainty, Phase, PodTimeline, Prediction, Timeline

__all__ = ["Certainty", "Phase", "PodTimeline", "Prediction", "Timeline", "timeline"]
