"""Child processes that are not root and do not outlive us; the system itself is left untouched.

PostgreSQL refuses to run as root, yet root is who runs the archive in many a container. In order
of preference the child runs

- as we do, when we are an ordinary user;
- in a user namespace that shows root as `NOBODY`: its files stay root's, nothing is reconfigured;
- as the user `NOBODY` itself, where namespaces are refused: its files must belong to that user.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a child process is."""

    owner: int
    """The user that its files must belong to, as we see users."""
    namespace: bool = False
    user: int | None = None
    """Whom to switch to, group and all."""

    def run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run the command to its end, output captured."""
        return subprocess.run(  # noqa: S603 - never a shell, never a caller's words
            command,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=self.enter,
            user=self.user,
            group=self.user,
            extra_groups=self._groups,
        )

    def start(
        self,
        command: Sequence[str | Path],
        *,
        output: IO[bytes],
        death_signal: signal.Signals,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start the command in a session of its own, so that Ctrl-C reaches only us.

        The system sends it `death_signal` when the *thread* that called this ends, however it does.
        """
        parent = os.getpid()

        def enter() -> None:
            self.enter()
            die_with_parent(death_signal, parent)

        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
            preexec_fn=enter,  # noqa: PLW1509 - makes system calls only, whatever threads we have
            user=self.user,
            group=self.user,
            extra_groups=self._groups,
        )

    def enter(self) -> None:
        """Become this identity, but for a switch of user. Called in the child."""
        if self.namespace:
            _enter_namespace()

    @property
    def _groups(self) -> list[str | int] | None:
        return None if self.user is None else []


def child_identity() -> Identity:
    """The identity for children of this process, as the module's docstring orders them."""
    if os.geteuid() != 0:
        return Identity(os.geteuid())
    namespaced = Identity(0, namespace=True)
    try:
        namespaced.run(["true"])
    except subprocess.SubprocessError:
        return Identity(NOBODY, user=NOBODY)
    return namespaced


def die_with_parent(death_signal: signal.Signals, parent: int) -> None:
    """Ask the system to signal this process when its parent ends. Called in the child.

    Linux only; elsewhere a parent that is killed with -9 leaves its children behind.
    """
    if sys.platform != "linux":
        return
    _libc.prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        os._exit(1)  # the parent ended before the request: no signal will ever come


def _enter_namespace() -> None:
    if _libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "no user namespace")
    Path("/proc/self/setgroups").write_text("deny")
    for ids in ("uid_map", "gid_map"):
        Path("/proc/self", ids).write_text(f"{NOBODY} 0 1")
