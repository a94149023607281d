"""RabbitMQ, next to any other RabbitMQ on the machine."""
# ruff: noqa: D102, S603
# The methods do what Server says of them; rabbitmqctl is the broker's own.

from __future__ import annotations

import shutil
import signal
import subprocess

from servers.base import Server
from servers.daemon import Daemon
from servers.tools import LOOPBACK, PATH, ServerError, State, accepts, speaks_amqp


class RabbitMQ(Server):
    """A broker without plugins; node name, epmd, cookie and ports of its own, so that it never meets another one."""

    name = "rabbitmq"
    variable = "BRIDGE_TEST_AMQP_URL"
    package = "rabbitmq-server"

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._place = state.home / "rabbitmq"
        self._epmd = Daemon(state.home, "epmd")

    @property
    def own_url(self) -> str:
        return f"amqp://guest:guest@{LOOPBACK}:{self.state.port('rabbitmq')}/"

    def speaks(self, url: str) -> bool:
        return speaks_amqp(url)

    def installed(self) -> bool:
        return bool(self._program and shutil.which("epmd", path=PATH))

    def move_if_taken(self) -> None:
        if self.daemon.pid is None:
            self.state.move_if_taken("rabbitmq", "rabbitmq_distribution")
        if self._epmd.pid is None:
            self.state.move_if_taken("epmd")

    def start(self, *, fsync: bool) -> None:
        del fsync  # a quorum queue always syncs
        if self.daemon.pid is None:
            self._write_configuration()
            self._start_epmd()
            self.daemon.spawn([str(self._program)], env=self._environment(), cwd=self._place)
        self.daemon.wait_ready(lambda: self.speaks(self.own_url))

    def stop(self) -> None:
        self.daemon.end(signal.SIGTERM)

    def down(self) -> None:
        super().down()
        self._epmd.end(signal.SIGTERM)

    def control(self, *words: str) -> None:
        """Run ``rabbitmqctl`` on this broker; raise ``ServerError`` when it refuses."""
        control = shutil.which("/usr/lib/rabbitmq/bin/rabbitmqctl") or str(shutil.which("rabbitmqctl", path=PATH))
        done = subprocess.run(
            [control, *words],
            check=False,
            env=self._environment(),
            cwd=self._place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )
        if done.returncode:
            raise ServerError(f"rabbitmqctl {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")

    @property
    def _program(self) -> str | None:
        """The start script; Debian's wrapper on the PATH insists on the rabbitmq user, so the real one comes first."""
        return shutil.which("/usr/lib/rabbitmq/bin/rabbitmq-server") or shutil.which("rabbitmq-server", path=PATH)

    def _write_configuration(self) -> None:
        self._place.mkdir(exist_ok=True)
        (self._place / "rabbitmq.conf").write_text(f"listeners.tcp.1 = {LOOPBACK}:{self.state.port('rabbitmq')}\n")
        (self._place / "rabbitmq-env.conf").write_text("")
        (self._place / "enabled_plugins").write_text("[].\n")

    def _start_epmd(self) -> None:
        """Start the Erlang name server ourselves: one that the broker starts would outlive ``down`` unseen."""
        port = self.state.port("epmd")
        if self._epmd.pid is None:
            command = [str(shutil.which("epmd", path=PATH)), "-port", str(port), "-address", LOOPBACK]
            self._epmd.spawn(command, env={"PATH": PATH}, cwd=self._place)
        self._epmd.wait_ready(lambda: accepts(LOOPBACK, port))

    def _environment(self) -> dict[str, str]:
        """Everything named, nothing inherited: no variable of a system broker leaks in."""
        place = str(self._place)
        return {
            "PATH": PATH,
            "HOME": place,  # the cookie is made here
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.state.port("epmd")),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": f"burgernet-{self.state.port('rabbitmq')}@localhost",
            "RABBITMQ_DIST_PORT": str(self.state.port("rabbitmq_distribution")),
            "RABBITMQ_CONF_ENV_FILE": f"{place}/rabbitmq-env.conf",
            "RABBITMQ_CONFIG_FILE": f"{place}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{place}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{place}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{place}/data",
            "RABBITMQ_LOG_BASE": f"{place}/log",
            "RABBITMQ_PID_FILE": f"{place}/node.pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # Let the script become the Erlang machine instead of watching it: then our pid is the broker's own.
            "RABBITMQ_ALLOW_INPUT": "true",
            "RABBITMQ_SERVER_START_ARGS": "-noinput",
        }
