"""What this machine gives: device, threads, precision, free memory; and the seeds of every random generator."""

import contextlib
import ctypes
import functools
import math
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.errors import SettingsError

if TYPE_CHECKING:
    import torch

PROCESS_CGROUPS = Path("/proc/self/cgroup")  # Linux: the control groups of this process
CGROUPS = Path("/sys/fs/cgroup")
# How long threads that wait for each other spin before they sleep, by the OpenMP runtime that torch comes with. Long
# spinning takes the core from the thread that is waited for, if others compute here, too (benchmarks/busy.py).
WAITING = {
    "GOMP_SPINCOUNT": "1000",  # GNU's, on Linux: times; its own default is 300000, some milliseconds
    "KMP_BLOCKTIME": "1",  # LLVM's and Intel's, elsewhere: milliseconds, not measured; their own default is 200
}
# What glibc does with large pieces of memory (mallopt(3), malloc.h), and where users say it themselves.
TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8
MMAPS = 65536  # its own maximum
ALLOCATION = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX",
              "GLIBC_TUNABLES")  # fmt: skip


def usable_cpus() -> int:
    """Count the CPUs that this process may really use, at least 1.

    The smallest of the scheduler's affinity (`taskset`), the CPU quota of the control groups (containers)
    and OMP_NUM_THREADS. Threads beyond that spin while they wait for each other, and everything gets far slower.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # "4,2" sets nested levels; the first counts
    threads = int(asked) if asked.isdecimal() else affinity
    return max(1, math.floor(min(affinity, threads, _cpu_quota())))


def waiting() -> dict[str, str]:
    """Which variables of the environment say how threads wait: the user's own, or else those of `WAITING`."""
    return {name: os.environ[name] for name in ("OMP_WAIT_POLICY", *WAITING) if name in os.environ}


def wait_asleep() -> None:
    """Let threads that wait for each other sleep soon, unless the user has said how they wait.

    The runtime reads this once, when torch is loaded: where that has happened, nothing changes.
    """
    if "torch" not in sys.modules and not waiting():
        os.environ.update(WAITING)


@functools.cache  # once per process: whoever changes torch's setting afterwards is not overruled
def configure_cpu() -> int:
    """Give torch one compute thread per usable CPU, and return how many that is; and keep memory for it."""
    import torch

    keep_memory()
    torch.set_num_threads(usable_cpus())
    return torch.get_num_threads()


def keep_memory(large: bool = True) -> None:
    """Let glibc keep what is freed for the next tensor, unless the user has set it up; elsewhere, nothing.

    By itself it gives tensors of tens of megabytes back at once, and the system clears all their pages anew for each
    that follows, which takes longer than most of what is computed there. `release_memory` gives back what is kept.

    Args:
        large: keep also what is beyond glibc's own threshold, at most 32 MB.
    """
    if not any(name in os.environ for name in ALLOCATION):
        with contextlib.suppress(OSError, AttributeError, TypeError):
            libc = ctypes.CDLL(None)
            libc.mallopt(MMAP_MAX, 0 if large else MMAPS)
            libc.mallopt(TRIM_THRESHOLD, 2**31 - 1)
            libc.mallopt(ARENA_MAX, 1)  # the heap of other threads cannot hold a large piece


def pick_device(name: str = "auto") -> "torch.device":
    """Turn "auto", "cpu", "mps", "cuda" or "cuda:1" into a device; "auto" takes the fastest kind there is.

    Raises:
        SettingsError: this machine has no such device; the message names those it has.
    """
    import torch

    devices = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    devices += ["mps"] if torch.backends.mps.is_available() else []
    devices += ["cpu"]
    if name == "auto":
        return torch.device(devices[0])
    if name in devices or (name == "cuda" and "cuda:0" in devices):
        return torch.device(name)
    raise SettingsError(f"there is no device {name!r} on this machine; there is {', '.join(devices)}")


def autocast_dtype(device: "torch.device") -> "torch.dtype | None":
    """Name the type that convolutions run fastest in on `device`: bfloat16 where the hardware is quick at it, or None.

    Without such instructions a CPU emulates bfloat16, many times slower than float32. Intel's Xeons since 2023 are
    quick at it in their AMX units alone, which many virtual machines hide; AVX-512 takes them twice as long as float32.
    """
    import torch

    if device.type == "cpu":
        # Newer versions of PyTorch say what a CPU has, older ones by this private function alone.
        has = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        hidden = has.get("avx512_fp16") and not has.get("amx_bf16") and "Intel" in has.get("cpu_name", "")
        supported = torch.cpu._is_avx512_bf16_supported() and not hidden
    else:
        supported = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if supported else None


def free_memory() -> int:
    """Count the bytes of main memory that this process may still take.

    The least of what the system has available, what the control groups (containers) still allow, and what is left of
    the address space (`ulimit -v`).
    """
    import psutil  # what is available has no answer in the standard library on macOS and Windows

    return max(0, min([int(psutil.virtual_memory().available), *_cgroup_memory(), *_address_space()]))


def release_memory() -> None:
    """Give freed memory back to the system: glibc keeps what lies between pieces still in use. Elsewhere, nothing."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy and torch (all its devices).

    Args:
        seed: 0 to 4294967295, the range that all three take.

    Raises:
        SettingsError: the seed is outside that range.
    """
    import numpy as np
    import torch

    if not 0 <= seed < 2**32:
        raise SettingsError(f"the seed {seed} is out of range; take one from 0 to {2**32 - 1}")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def seeded(seed: int) -> "torch.Generator":
    """A generator on the CPU, whose numbers are the same on every machine.

    Raises:
        SettingsError: the seed is outside of 0 to 2^63 - 1.
    """
    import torch

    if not 0 <= seed < 2**63:
        raise SettingsError(f"the seed {seed} is out of range; take one from 0 to {2**63 - 1}")
    return torch.Generator().manual_seed(seed)


def _cgroup_folders(controller: str) -> list[Path]:
    """List the control groups, own and parents, that may limit "cpu" or "memory" here; none outside Linux."""
    if not PROCESS_CGROUPS.exists():
        return []
    folders: list[Path] = []
    for line in PROCESS_CGROUPS.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2: one tree for all controllers
            root = CGROUPS
        elif controller in controllers.split(","):  # version 1: a tree for each
            root = CGROUPS / controller
        else:
            continue
        # A container may see the path its host uses, which does not exist inside; its limits then stand at the root.
        own = root / path.lstrip("/")
        folders += [folder for folder in (own, *own.parents) if folder.is_relative_to(root)]
    return folders


def _words(file: Path) -> list[str]:
    """Read the words of a control file; none where there is no such file."""
    try:
        return file.read_text().split()
    except OSError:
        return []


def _cpu_quota() -> float:
    """Say how many CPUs' worth of time the control groups allow; infinite without a limit."""
    quota = math.inf
    for folder in _cgroup_folders("cpu"):
        version_2 = _words(folder / "cpu.max")
        version_1 = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        for words in (version_2, version_1):  # microseconds of CPU per period of so many microseconds
            if len(words) == 2 and words[0] not in ("max", "-1"):
                quota = min(quota, int(words[0]) / int(words[1]))
    return quota


def _address_space() -> list[int]:
    """The bytes that are left to this process where its address space has a limit."""
    import psutil

    try:
        import resource
    except ImportError:  # Windows
        return []
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return [] if limit == resource.RLIM_INFINITY else [limit - psutil.Process().memory_info().vms]


def _cgroup_memory() -> list[int]:
    """List the bytes that each limiting control group still allows."""
    free = []
    for folder in _cgroup_folders("memory"):
        for limit, used, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            if (words := _words(folder / limit)) and words[0] != "max":
                usage = int(_words(folder / used)[0])
                statistics = _words(folder / "memory.stat")
                # Cached files count as used, but the kernel gives them up when a process asks for memory.
                reclaimable = int(statistics[statistics.index(cache) + 1]) if cache in statistics else 0
                free.append(int(words[0]) - usage + reclaimable)
    return free
