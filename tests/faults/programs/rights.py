"""The rights of an ordinary user for the administrator, who else may read and write everything."""

import ctypes
import os

OVERRIDE, READ_SEARCH = 1, 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of linux/capability.h
VERSION = 0x20080522
CAPGET, CAPSET = {"x86_64": (125, 126), "aarch64": (90, 91)}.get(os.uname().machine, (None, None))


def give_up():
    """Obey the permissions of files from here on; nothing to do for who is not root."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable ones, twice
    assert CAPGET and libc.syscall(CAPGET, header, sets) == 0, os.strerror(ctypes.get_errno())
    sets[0] &= ~(1 << OVERRIDE | 1 << READ_SEARCH)
    assert libc.syscall(CAPSET, header, sets) == 0, os.strerror(ctypes.get_errno())
