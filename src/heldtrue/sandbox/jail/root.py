"""Two roots: the zygote's is the image and nothing else, each run's an empty tmpfs with the image's /usr in it."""

from __future__ import annotations

import os

from heldtrue.sandbox.jail.calls import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    mount,
    pivot_into,
)

INSIDE = 1000
"""User and group id inside every namespace."""
SCRATCH = "/tmp"  # noqa: S108 - the run's own tmpfs
MOUNT_POINT = "/mnt"
"""An empty directory of the image; the root of a run is built over it."""
ANYWHERE = "/proc"
"""A directory that every host has, to mount the image over for a moment, in a mount namespace of our own."""
INODES = 4096


def enter_image() -> None:
    """Make the working directory, which is the image, the whole file system, read-only.

    It is the working directory since before this mount namespace, because the way to it may lie where we cannot go.
    """
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount(".", ANYWHERE, None, MS_BIND)
    mount(None, ANYWHERE, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)
    pivot_into(ANYWHERE)


def enter_empty(scratch: int, libraries: str) -> None:
    """Make an empty tmpfs the root, with *libraries* read-only and *scratch* bytes of /tmp in which nothing can be
    executed.
    """
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", MOUNT_POINT, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,nr_inodes=32,mode=755")
    inside = MOUNT_POINT + libraries
    os.makedirs(inside)  # noqa: PTH103 - pathlib is not warm
    mount(libraries, inside, None, MS_BIND)
    mount(None, inside, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)
    os.makedirs(MOUNT_POINT + SCRATCH)  # noqa: PTH103
    options = f"size={scratch},nr_inodes={INODES},mode=700"
    mount("tmpfs", MOUNT_POINT + SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options)
    mount(None, MOUNT_POINT, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    pivot_into(MOUNT_POINT)
    os.chdir(SCRATCH)


def map_ids(proc: int, outer_uid: int, outer_gid: int) -> None:
    """Map the one user and group of a new user namespace, through *proc*: a descriptor of the host's /proc."""
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{INSIDE} {outer_uid} 1"),
        ("gid_map", f"{INSIDE} {outer_gid} 1"),
    ):
        descriptor = os.open(f"self/{name}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
