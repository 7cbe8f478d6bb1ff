"""Stand-ins for what vLLM imports and its argument parser does not need: torch and the rest.

:func:`install` makes every import of a package that is not named to it give a module whose every
attribute is a :class:`StandIn`: something that can be called, subclassed, subscripted, compared
and written in an annotation, and that does nothing.  So vLLM's own code builds its own parser,
with the real pydantic behind its configuration classes, without a GPU, torch or transformers.
"""

from __future__ import annotations

import abc
import importlib.abc
import importlib.machinery
import importlib.metadata
import inspect
import sys
import types
import typing
from collections.abc import Callable, Collection, Sequence
from typing import Any

# By importing these vLLM asks whether it runs on other hardware.
ABSENT = frozenset(
    {
        "amdsmi",
        "habana_frameworks",
        "intel_extension_for_pytorch",
        "libtpu",
        "neuronx_distributed_inference",
        "neuronxcc",
        "oneccl_bindings_for_pytorch",
        "torch_neuronx",
        "torch_npu",
        "torch_xla",
        "tpu_inference",
        "transformers_neuronx",
    }
)
# Parts of vLLM itself that are compiled, or written when it is built.
COMPILED = ("vllm._", "vllm.vllm_flash")
ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor")


class Kind(abc.ABCMeta):
    """The class of the stand-in classes: what can be done with one that is not called."""

    def __getattr__(cls, name: str) -> Any:
        return _attribute(cls, name)

    def __call__(cls, *args: Any, **options: Any) -> Any:
        return _decorated(args, options) or type.__call__(cls)

    def __instancecheck__(cls, instance: Any) -> bool:
        return type(instance) is cls

    def __or__(cls, _: Any) -> Any:
        return Any

    __ror__ = __or__

    def __bool__(cls) -> bool:
        return True

    def register(cls, *args: Any, **_: Any) -> Any:
        """As a decorator, and as the method of abstract classes."""
        return args[-1] if args else cls


class StandIn(metaclass=Kind):
    """An object of no use that takes part in everything."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take anything."""

    def __getattr__(self, name: str) -> Any:
        return _attribute(self, name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return _decorated(args, options) or self

    def __class_getitem__(cls, _: Any) -> Any:
        return cls

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __bool__(self) -> bool:
        return False  # so no hardware is available

    def __str__(self) -> str:
        return "0.0"  # some are parsed as versions

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.any_schema()


class Decorated:
    """A function after a decorator of unknown kind: itself, and an owner of any attribute."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.function(*args, **options)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self.function, instance)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            return getattr(self.function, name)
        return _stand_in(name)


def _constant(result: Any) -> Callable[..., Any]:
    return lambda *_: result


def _itself(this: Any, *_: Any) -> Any:
    return this


def _operators() -> dict[str, Callable[..., Any]]:
    """Operators that classes and instances share: arithmetic gives the operand itself."""
    arithmetic = [f"__{side}{name}__" for name in ARITHMETIC for side in ("", "r")]
    return {
        **dict.fromkeys([*arithmetic, "__neg__", "__abs__", "__enter__", "__getitem__"], _itself),
        **dict.fromkeys(["__lt__", "__le__", "__exit__", "__contains__"], _constant(result=False)),
        **dict.fromkeys(["__gt__", "__ge__"], _constant(result=True)),
        **dict.fromkeys(["__int__", "__index__", "__len__"], _constant(0)),
        "__iter__": lambda *_: iter(()),
        "__setitem__": _constant(None),
    }


for _name, _operator in _operators().items():
    for _class in (Kind, StandIn):
        if _name not in vars(_class):
            setattr(_class, _name, _operator)


def _stand_in(name: str) -> Any:
    return Kind(name, (StandIn,), {"__module__": "stand_in"})


def _attribute(owner: Any, name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    made = _stand_in(name)
    if isinstance(owner, Kind | types.ModuleType):
        setattr(owner, name, made)
    return made


def _decorated(args: Sequence[Any], options: dict[str, Any]) -> Any:
    """The decorated thing when this call looks like a decorator's, else ``None``."""
    if len(args) != 1 or options:
        return None
    if isinstance(args[0], types.FunctionType):
        return Decorated(args[0])
    return args[0] if isinstance(args[0], type) and not isinstance(args[0], Kind) else None


def _schema(function: Any, *_: Any, **__: Any) -> str:
    """What ``torch.library.infer_schema`` says of the results: vLLM counts the tensors in it."""
    plain = function.function if isinstance(function, Decorated) else function
    returned = inspect.signature(plain).return_annotation
    count = (
        returned.count("Tensor") if isinstance(returned, str) else len(typing.get_args(returned))
    )
    tensors = ", ".join(["Tensor"] * max(count, 1))
    return f"() -> {tensors}" if count < 2 else f"() -> ({tensors})"


def _integer_limits(*_: Any) -> Any:
    return types.SimpleNamespace(min=-(1 << 63), max=(1 << 63) - 1)


SPECIAL = {
    "torch.library.infer_schema": _schema,
    "torch.iinfo": _integer_limits,
    "pynvml.nvmlDeviceGetCount": _constant(0),
}


class StandInModule(types.ModuleType):
    """A module that has whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        known = {"__version__": "99.0.0", "__all__": [], "__file__": "/nonexistent/stand_in.py"}
        if name in known:
            return known[name]
        return SPECIAL.get(f"{self.__name__}.{name}") or _attribute(self, name)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stand-in for each module that ``wanted`` says yes to."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self.wanted = wanted

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec for a stand-in, ``None`` to leave the import to others."""
        if not self.wanted(fullname):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """An empty module that makes up its contents."""
        return StandInModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


def install(real: Collection[str], versions: dict[str, str]) -> None:
    """From now on import stand-ins for all but ``real``; ``versions`` of packages are believed.

    Packages that are neither installed nor in ``versions`` are said to be of version 99.0.0.
    """
    ours = ABSENT | sys.stdlib_module_names | set(real)
    sys.meta_path.insert(0, Finder(lambda name: name.partition(".")[0] not in ours))
    sys.meta_path.append(Finder(lambda name: name.startswith(COMPILED)))
    installed = importlib.metadata.version

    def version(distribution_name: str) -> str:
        if distribution_name in versions:
            return versions[distribution_name]
        try:
            return installed(distribution_name)
        except importlib.metadata.PackageNotFoundError:
            return "99.0.0"

    importlib.metadata.version = version
