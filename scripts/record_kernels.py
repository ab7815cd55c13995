"""See ``scripts/record-kernels``."""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

from millstream.core.kernels.ahead import SIGNATURES_FILE, KernelSignature, compiled_signatures, known_signatures

ROOT = Path(__file__).resolve().parents[1]
_KERNEL = re.compile(r"^@numba\.njit", re.MULTILINE)


def kernel_modules() -> list[str]:
    """Modules of the product that have kernels."""
    found = []
    for package in ("core", "connectors", "taskmanager"):
        for path in (ROOT / package).rglob("*.py"):
            if _KERNEL.search(path.read_text("utf-8")):
                found.append(".".join(path.relative_to(ROOT / package).with_suffix("").parts))
    return sorted(found)


def fits(signature: KernelSignature) -> bool:
    """Whether there is such a kernel still, with as many parameters."""
    kernel = getattr(sys.modules.get(signature.module), signature.function, None)
    return kernel is not None and len(inspect.signature(kernel.py_func).parameters) == len(signature.types)


def main() -> None:
    names = kernel_modules()
    found = {signature for name in names for signature in compiled_signatures(import_module(name))}
    compiled = {(signature.module, signature.function) for signature in found}
    kept = {known for known in known_signatures() if (known.module, known.function) not in compiled and fits(known)}
    lines = [signature.line() for signature in sorted(found | kept)]
    SIGNATURES_FILE.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{len(lines)} kernels in {SIGNATURES_FILE.relative_to(ROOT)}, {len(set(found) - set(kept))} of them new")


if __name__ == "__main__":
    main()
