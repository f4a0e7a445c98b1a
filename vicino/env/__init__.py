"""Env: the only door to files, clock, randomness, threads and the identity of this process.

Everything else in the package is handed an `Env` and asks it. That makes one engine run on a disk, in memory, and in tests where every
write can tear, every sync can fail and the machine can lose power between any two operations, from a seed.

    RealEnv         the machine
    MemoryEnv       the machine, but its files live in memory: `vicino.open()` without a path
    RecordingEnv    memory, virtual clock, no threads; remembers every operation so that crash images can be made (vicino.env.recording)
    FaultyEnv       any of these, with one operation failing (vicino.env.faulty)
"""

from vicino.env.base import Buffer, Env, File, FileLock, Files, Task, is_missing, storage_error
from vicino.env.latch import Latch
from vicino.env.memory import MemoryEnv, MemoryFiles
from vicino.env.real import Machine, RealEnv, RealFiles, in_forked_child

__all__ = [
    "Buffer",
    "Env",
    "File",
    "FileLock",
    "Files",
    "Latch",
    "Machine",
    "MemoryEnv",
    "MemoryFiles",
    "RealEnv",
    "RealFiles",
    "Task",
    "in_forked_child",
    "is_missing",
    "storage_error",
]
