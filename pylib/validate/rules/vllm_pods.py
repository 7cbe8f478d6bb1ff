"""Which containers run a vLLM server, in which version, and with which arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from pylib.facts import gke
from pylib.validate.rules.objects import Container, Objects, Path, PodTemplate, each, texts

_NAME = re.compile(r"(^|[-_.])vllm($|[-_.])")
_NO_SERVER = re.compile(
    r"(^|[-_.])(benchmark|bench|client|controller|dashboard|epp|exporter|gateway|manager|operator"
    r"|proxy|router|scheduler|sidecar|tokenizer|ui)($|[-_.])"
)
_IN_SHELL = re.compile(r"(?:^|[\s;&|/(])vllm\s+serve\s|vllm\.entrypoints\.[\w.]*api_server")
_MODULE = re.compile(r"vllm\.entrypoints\.[\w.]+")
_SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_SHELL_END = frozenset({"&&", "||", ";", "|", "&", ">", ">>", "2>&1"})
_VERSION = re.compile(r"v?(\d+\.\d+\.\d+(?:\.post\d+)?)(?:$|[-_+])")
_REFERENCE = re.compile(r"\$?\$\(([A-Za-z_][\w.-]*)\)")


@dataclass(frozen=True)
class Image:
    """An image reference in parts; ``tag`` and ``digest`` are empty when absent."""

    repository: str
    tag: str
    digest: str

    @property
    def name(self) -> str:
        """Last element of the repository."""
        return self.repository.rpartition("/")[2]


def image_of(reference: object) -> Image:
    """``host:port/repository:tag@digest`` in parts; anything but text is an empty image."""
    text = reference if isinstance(reference, str) else ""
    rest, _, digest = text.partition("@")
    head, slash, last = rest.rpartition("/")
    name, _, tag = last.partition(":")
    return Image(head + slash + name, tag, digest)


@dataclass(frozen=True)
class Word:
    """One word of a command line and the path, in the container, of the field that holds it."""

    text: str
    path: Path


def environment(container: Container) -> dict[str, str | None]:
    """Environment by name; ``None`` where the value comes from a Secret or another object."""
    found: dict[str, str | None] = {}
    for _, item in each(container.body, "env"):
        value = item.get("value")
        literal = "valueFrom" not in item
        found[str(item.get("name"))] = ("" if value is None else str(value)) if literal else None
    return found


def expand(text: str, env: Mapping[str, str | None]) -> str:
    """``$(NAME)`` replaced as the kubelet does; unknown names stay, ``$$(NAME)`` is literal."""

    def value(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        found = env.get(match[1])
        return match[0] if found is None else found

    return _REFERENCE.sub(value, text)


def _words(container: Container, field: str) -> list[Word]:
    listed = container.get(field)
    items = listed if isinstance(listed, list) else []
    env = environment(container)
    return [Word(expand(str(item), env), (field, index)) for index, item in enumerate(items)]


def is_server(container: Container) -> bool:
    """Whether this container serves with vLLM: by its command line, else by its image's name.

    An init container never does, nor one whose command line starts something else.
    """
    if container.init:
        return False
    command, args = _words(container, "command"), _words(container, "args")
    if _start(command + args) is not None:
        return True
    name = image_of(container.get("image")).name.lower()
    return not command and bool(_NAME.search(name)) and not _NO_SERVER.search(name)


def _start(words: list[Word]) -> int | None:
    """Index of the first argument of the server; ``None`` when no word starts one."""
    for index, word in enumerate(words):
        following = words[index + 1].text if index + 1 < len(words) else ""
        if word.text.rpartition("/")[2] == "vllm" and following == "serve":
            return index + 2
        if word.text == "-m" and _MODULE.fullmatch(following):
            return index + 2
    if words and words[0].text.rpartition("/")[2] in _SHELLS:
        return next((i for i, word in enumerate(words) if _IN_SHELL.search(word.text)), None)
    return None


def arguments(container: Container) -> tuple[Word, ...]:
    """The arguments of the server itself, without its program, each with its path."""
    command, args = _words(container, "command"), _words(container, "args")
    words = command + args
    start = _start(words)
    if start is None:
        return () if command else tuple(args)
    if start < len(words) and _IN_SHELL.search(words[start].text):
        return tuple(_shell_arguments(words[start]))
    return tuple(words[start:])


def _shell_arguments(script: Word) -> Iterator[Word]:
    """Arguments in a shell script; a script that the shell itself could not read gives none."""
    lexer = shlex.shlex(script.text.replace("\\\n", " "), posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    try:
        words = [Word(text, script.path) for text in lexer]
    except ValueError:
        return
    begin = _start(words)
    for word in words[begin:] if begin is not None else ():
        if word.text in _SHELL_END or not word.text.strip("();<>|&\n"):
            return
        yield word


def option(words: tuple[Word, ...], *flags: str) -> Word | None:
    """Value of the last of these flags, as ``--flag=value`` or ``--flag value``."""
    found = None
    for index, word in enumerate(words):
        flag, equals, value = word.text.partition("=")
        if flag.startswith("--"):
            flag = flag.replace("_", "-")
        if flag not in flags:
            continue
        if equals:
            found = Word(value, word.path)
        elif index + 1 < len(words):
            found = words[index + 1]
    return found


def model_of(container: Container) -> Word | None:
    """The model: the value of ``--model``, else the first argument that is no flag."""
    words = arguments(container)
    named = option(words, "--model")
    if named is None and words and not words[0].text.startswith("-"):
        return words[0]
    return named


def mounted_at(container: Container, path: str) -> Mapping[str, Any] | None:
    """The innermost volume mount that holds ``path``; ``None`` where none does."""
    found: tuple[int, Mapping[str, Any]] | None = None
    for _, mount in each(container.body, "volumeMounts"):
        folder = str(mount.get("mountPath")).rstrip("/")
        inside = path == folder or path.startswith(f"{folder}/")
        if inside and (found is None or len(folder) > found[0]):
            found = len(folder), mount
    return found[1] if found else None


_SERVERS: WeakKeyDictionary[Objects, tuple[Container, ...]] = WeakKeyDictionary()


def servers(objects: Objects) -> tuple[Container, ...]:
    """Every container that serves with vLLM; found once for all rules of a run."""
    if objects not in _SERVERS:
        _SERVERS[objects] = tuple(
            container
            for pod in objects.pods()
            for container in pod.containers(init=False)
            if is_server(container)
        )
    return _SERVERS[objects]


def server_pods(objects: Objects) -> Iterator[PodTemplate]:
    """Every pod template with a vLLM server in it."""
    seen: set[tuple[int, Path]] = set()
    for container in servers(objects):
        place = (id(container.pod.owner), container.pod.path)
        if place not in seen:
            seen.add(place)
            yield container.pod


def annotation(pod: PodTemplate, name: str) -> str:
    """Annotation of the pod template, else of its owner; empty when absent."""
    owner = texts(pod.owner.metadata.get("annotations"))
    return pod.annotations.get(name) or owner.get(name, "")


def version_of(container: Container, objects: Objects) -> str:
    """vLLM version: annotation, image tag, else that of the run; empty when not known."""
    said = annotation(container.pod, gke.VLLM_VERSION).removeprefix("v")
    if said:
        return said
    tag = _VERSION.match(image_of(container.get("image")).tag)
    return tag[1] if tag else objects.context.vllm_version


def model_gib(pod: PodTemplate) -> float | None:
    """Size of the weights in GiB as the annotation says, ``None`` when it does not."""
    said = annotation(pod, gke.MODEL_SIZE_GIB)
    return float(said) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", said) and float(said) > 0 else None


def shards(pod: PodTemplate) -> int | None:
    """Number of weight files as the annotation says, ``None`` when it does not."""
    said = annotation(pod, gke.WEIGHT_SHARDS)
    return int(said) if re.fullmatch(r"[1-9]\d{0,4}", said) else None


def machine_type(pod: PodTemplate, objects: Objects) -> str:
    """Machine type: annotation, node selector, else that of the run; empty when not known."""
    selector = texts(pod.get("nodeSelector"))
    said = annotation(pod, gke.MACHINE_TYPE) or selector.get(gke.INSTANCE_TYPE, "")
    return said or objects.context.machine_type


def gpus(container: Container) -> int | None:
    """GPUs that the container asks for; ``None`` when it asks for none or says it oddly."""
    for kind in ("limits", "requests"):
        found = container.get("resources", kind, gke.GPU)
        text = str(found) if isinstance(found, int | str) else ""
        if text.isdecimal():
            return int(text)
    return None
