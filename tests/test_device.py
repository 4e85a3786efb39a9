"""What impasto.device says about this machine, and about machines drawn as folders of control files."""

import mmap
import os
import platform
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from impasto import device
from impasto.errors import SettingsError

linux = pytest.mark.skipif(sys.platform != "linux", reason="affinity and control groups are Linux's")


@pytest.fixture
def no_cgroups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(device, "PROCESS_CGROUPS", tmp_path / "absent")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def cgroups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A tree of control groups without limits; a test writes the files it needs."""
    monkeypatch.setattr(device, "PROCESS_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(device, "CGROUPS", tmp_path / "tree")
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return tmp_path


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@linux
@pytest.mark.usefixtures("no_cgroups")
def test_usable_cpus_follow_the_affinity() -> None:
    before = os.sched_getaffinity(0)
    assert device.usable_cpus() == len(before)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert device.usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("no_cgroups")
def test_without_affinity_all_cpus_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(device.os, "sched_getaffinity", raising=False)  # as on macOS and Windows
    monkeypatch.setattr(device.os, "cpu_count", lambda: 12)
    assert device.usable_cpus() == 12


@pytest.mark.parametrize(("asked", "cpus"), [("3", 3), ("3,2", 3), ("100", 64), ("0", 1), ("many", 64), ("", 64)])
def test_the_user_may_ask_for_fewer_threads_but_not_for_more(
    cgroups: Path, monkeypatch: pytest.MonkeyPatch, asked: str, cpus: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert device.usable_cpus() == cpus


def test_the_tightest_quota_of_a_group_and_its_parents_counts(cgroups: Path) -> None:
    write(cgroups / "cgroup", "0::/pod/container\n")
    write(cgroups / "tree/pod/container/cpu.max", "max 100000\n")
    write(cgroups / "tree/pod/cpu.max", "350000 100000\n")
    assert device.usable_cpus() == 3
    write(cgroups / "tree/pod/container/cpu.max", "50000 100000\n")
    assert device.usable_cpus() == 1


def test_a_quota_at_the_root_counts_where_the_group_of_the_host_is_not_visible(cgroups: Path) -> None:
    write(cgroups / "cgroup", "0::/../docker/c0ffee\n")
    write(cgroups / "tree/cpu.max", "200000 100000\n")
    assert device.usable_cpus() == 2


def test_quotas_of_cgroup_version_1_count(cgroups: Path) -> None:
    write(cgroups / "cgroup", "5:memory:/other\n3:cpu,cpuacct:/job\n0::/\n")
    write(cgroups / "tree/cpu/cpu.cfs_quota_us", "-1\n")
    write(cgroups / "tree/cpu/cpu.cfs_period_us", "100000\n")
    assert device.usable_cpus() == 64
    write(cgroups / "tree/cpu/job/cpu.cfs_quota_us", "400000\n")
    write(cgroups / "tree/cpu/job/cpu.cfs_period_us", "100000\n")
    assert device.usable_cpus() == 4


@pytest.mark.usefixtures("no_cgroups")
def test_threads_are_set_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    device.configure_cpu.cache_clear()
    try:
        monkeypatch.setattr(device, "usable_cpus", lambda: 2)
        assert device.configure_cpu() == torch.get_num_threads() == 2
        torch.set_num_threads(1)
        device.configure_cpu()
        assert torch.get_num_threads() == 1
    finally:
        device.configure_cpu.cache_clear()
        torch.set_num_threads(before)


def told(code: str, **environment: str) -> dict[str, str]:
    """What the OpenMP runtime of a new process that runs `code` says it was told."""
    rest = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", *device.WAITING)}
    words = [sys.executable, "-c", code]
    environment = rest | {"OMP_DISPLAY_ENV": "VERBOSE"} | environment
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return dict(re.findall(r"(\w+) ?= ?'(\w*)'", done.stderr))


def test_threads_sleep_soon_where_impasto_comes_before_torch() -> None:
    said = told("import impasto, torch")
    assert any(said.get(name) == value for name, value in device.WAITING.items())


def test_what_the_user_says_of_waiting_reaches_the_threads() -> None:
    said = told("import impasto, torch", OMP_WAIT_POLICY="ACTIVE")
    assert said["OMP_WAIT_POLICY"] == "ACTIVE"
    assert not any(said.get(name) == value for name, value in device.WAITING.items())


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_nothing_is_set_beside_what_the_user_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {name: "7"})
    monkeypatch.delitem(sys.modules, "torch")
    device.wait_asleep()
    assert os.environ == device.waiting() == {name: "7"}


def test_nothing_is_set_once_torch_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    device.wait_asleep()
    assert os.environ == {}


FAULTS = """
import resource, threading, torch
from impasto import device
device.configure_cpu()

def work():
    for megabytes in 10 * (64, 1, 40):
        torch.ones(megabytes << 18)

def in_a_thread(target):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

work(), new_pages(), in_a_thread(work), in_a_thread(new_pages)
device.release_memory()
new_pages()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of the GNU C library")
def test_freed_memory_serves_the_next_tensor() -> None:
    def found(code: str = FAULTS, **said: str) -> list[int]:
        kept = {name: value for name, value in os.environ.items() if name not in device.ALLOCATION}
        done = subprocess.run([sys.executable, "-c", code], env=kept | said, capture_output=True, text=True, check=True)
        return [int(pages) for pages in done.stdout.split()]

    once = (64 << 20) // mmap.PAGESIZE  # the largest of three; by itself glibc asks for 16 times as many
    here, there, released = found()
    assert here < 3 * once and there < 3 * once  # a hole may be a little too small at first
    assert once <= released < 9 * once
    assert all(pages > 9 * once for pages in found(MALLOC_ARENA_MAX="2"))  # a user who has set up something else
    given_back = found(FAULTS.replace("configure_cpu()", "configure_cpu(), device.keep_memory(large=False)"))
    assert all(pages > 9 * once for pages in given_back)


def test_the_picked_device_computes() -> None:
    assert float(torch.ones(3, device=device.pick_device()).sum()) == 3
    assert device.pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "xpu", "gpu", ""])
def test_a_missing_device_is_refused_with_those_that_exist(name: str) -> None:
    with pytest.raises(SettingsError, match="cpu") as refusal:
        device.pick_device(name)
    assert "\n" not in str(refusal.value)


def test_auto_prefers_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device.pick_device() == torch.device("cuda:0")
    assert device.pick_device("cuda:1") == torch.device("cuda:1")


@linux
def test_bfloat16_is_used_where_the_cpu_says_it_is_quick() -> None:
    flags = Path("/proc/cpuinfo").read_text().split()
    if "flags" not in flags:
        pytest.skip("not an x86 CPU")
    hidden = "GenuineIntel" in flags and "avx512_fp16" in flags and "amx_bf16" not in flags
    expected = torch.bfloat16 if "avx512_bf16" in flags and not hidden else None
    assert device.autocast_dtype(torch.device("cpu")) == expected
    assert ("amx_bf16" in flags) <= ("avx512_bf16" in flags)  # the assumption that autocast_dtype makes


@pytest.mark.parametrize(
    ("has", "quick"),
    [
        ({"cpu_name": "AMD Genoa"}, True),
        ({"cpu_name": "Intel Cooper Lake"}, True),
        ({"cpu_name": "Intel Xeon", "avx512_fp16": True, "amx_bf16": True}, True),
        (
            {"cpu_name": "Intel Xeon", "avx512_fp16": True, "amx_bf16": False},
            False,
        ),  # hidden from a guest
        (None, True),  # a PyTorch that does not say
    ],
)
def test_an_intel_without_its_amx_computes_in_float32(
    has: dict[str, Any] | None, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    if has is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    assert device.autocast_dtype(torch.device("cpu")) == (torch.bfloat16 if quick else None)


def test_metal_keeps_float32() -> None:
    assert device.autocast_dtype(torch.device("mps")) is None


@linux
@pytest.mark.usefixtures("no_cgroups")
def test_free_memory_is_what_the_kernel_calls_available() -> None:
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available, total = (int(lines[key].split()[0]) * 1024 for key in ("MemAvailable", "MemTotal"))
    assert abs(device.free_memory() - available) < 0.1 * total  # other processes take and give meanwhile


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_a_limit_of_the_address_space_counts() -> None:
    code = (
        "import resource; from impasto.device import free_memory; "
        "resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9)); print(free_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 10**9


def test_a_memory_limit_leaves_what_is_unused_or_only_cache(cgroups: Path) -> None:
    write(cgroups / "cgroup", "0::/box\n")
    write(cgroups / "tree/box/memory.max", "1000000\n")
    write(cgroups / "tree/box/memory.current", "700000\n")
    write(cgroups / "tree/box/memory.stat", "anon 600000\ninactive_file 90000\nactive_file 10000\n")
    assert device.free_memory() == 390_000
    write(cgroups / "tree/box/memory.current", "1200000\n")  # above a limit that was lowered meanwhile
    assert device.free_memory() == 0


def test_a_memory_limit_of_cgroup_version_1_counts(cgroups: Path) -> None:
    write(cgroups / "cgroup", "4:memory:/box\n")
    write(cgroups / "tree/memory/memory.limit_in_bytes", f"{2**63 - 4096}\n")  # its way of saying "none"
    write(cgroups / "tree/memory/memory.usage_in_bytes", "0\n")
    write(cgroups / "tree/memory/box/memory.limit_in_bytes", "1000000\n")
    write(cgroups / "tree/memory/box/memory.usage_in_bytes", "800000\n")
    write(cgroups / "tree/memory/box/memory.stat", "total_inactive_file 50000\n")
    assert device.free_memory() == 250_000


def test_the_same_seed_gives_the_same_numbers() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(1))

    device.seed_everything(7)
    first = draw()
    device.seed_everything(7)
    assert draw() == first
    device.seed_everything(8)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(SettingsError, match=str(seed)):
        device.seed_everything(seed)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed memory and can give it back")
def test_freed_memory_goes_back_to_the_system() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    blocks = [bytearray(b"x" * 100_000) for _ in range(2000)]
    del blocks[:-1]  # the last one keeps the others' space from being given back by itself
    before = resident()
    device.release_memory()
    assert resident() < before - 100e6


@pytest.mark.parametrize("seed", [-1, 2**63, 99999999999999999999])
def test_a_seed_that_no_generator_takes_is_refused(seed: int) -> None:
    with pytest.raises(SettingsError, match="seed"):
        device.seeded(seed)
    assert device.seeded(2**63 - 1).initial_seed() == 2**63 - 1
