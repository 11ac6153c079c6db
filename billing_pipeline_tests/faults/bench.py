"""The whole bench: which trials, on which servers, how many; and the same, small and seeded, for the test suite.

Everything is on loopback and in a temporary folder, and ends by itself.
"""

from __future__ import annotations

import logging
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from billing_pipeline_tests.faults import (
    cuts,
    drafts,
    ftps_faults,
    kills,
    server_faults,
    sftp_faults,
    together,
    zombies,
)
from billing_pipeline_tests.faults.children import LINKED
from billing_pipeline_tests.faults.controls import CONTROLS
from billing_pipeline_tests.faults.judge import Verdict
from billing_pipeline_tests.faults.status import StatusChecks
from billing_pipeline_tests.faults.world import (
    SIZES,
    Account,
    World,
    child_context,
    folder_account,
    openssh_account,
    vsftpd_account,
)
from billing_pipeline_tests.support.asyncssh_server import sftp_server
from billing_pipeline_tests.support.openssh import OpenSshServer, openssh_server
from billing_pipeline_tests.support.postgres import postgres_server
from billing_pipeline_tests.support.pyftpd import pyftpd
from billing_pipeline_tests.support.tcp_proxy import tcp_proxy
from billing_pipeline_tests.support.vsftpd import Vsftpd, vsftpd

Plan = TypeVar("Plan")
Server = TypeVar("Server")
Trial = TypeVar("Trial", kills.Kills, cuts.Cuts, together.Together)

CANARY = "canary-0b9d2f71-secret"


@dataclass(frozen=True)
class Extent:
    """How much of each trial. None: every plan there is."""

    kills: int | None
    kills_postgresql: int
    kills_ftps: int
    zombies: int | None
    cuts: int
    cuts_ftps: int
    rounds: int
    sftp_kinds: int | None
    ftps_kinds: int | None
    folder_kills: int | None
    draft_plans: int | None
    draft_controls: bool
    control_kills: int
    control_cuts: int
    control_kinds: int
    control_rounds: int
    timeout_s: float
    slack_s: float


FULL = Extent(
    None,
    60,
    90,
    None,
    1_200,
    320,
    500,
    None,
    None,
    None,
    None,
    True,
    60,
    120,
    20,
    60,
    timeout_s=2.0,
    slack_s=0.0,
)
SAMPLE = Extent(14, 0, 3, 8, 16, 6, 12, 6, 5, 12, 6, False, 8, 0, 0, 10, timeout_s=1.0, slack_s=1.5)


@dataclass
class Results:
    """What every trial came to, in the order of the table."""

    seed: int
    kills: list[tuple[str, kills.Kills]] = field(default_factory=list)
    zombies: zombies.Zombies | None = None
    cuts: list[tuple[str, cuts.Cuts]] = field(default_factory=list)
    sftp: server_faults.ServerFaults | None = None
    ftps: server_faults.ServerFaults | None = None
    together: list[tuple[str, together.Together]] = field(default_factory=list)
    # The last of them: from here on `drafts` is no module in this class.
    draft_controls: list[drafts.Drafts] = field(default_factory=list)
    drafts: list[drafts.Drafts] = field(default_factory=list)
    status: StatusChecks = field(default_factory=StatusChecks)
    controls: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    canaries: int = 0
    searched_bytes: int = 0
    seconds: float = 0.0


class Bench:
    """Runs the trials one after the other, each in a world of its own on servers that they share."""

    def __init__(self, extent: Extent, seed: int, say: Callable[[str], None]) -> None:
        self.extent = extent
        self.results = Results(seed)
        self._say = say
        self._stack = ExitStack()
        self._context = child_context()
        self._folders = 0
        self._worlds: list[World] = []

    def run(self) -> Results:
        """All of it."""
        begin = time.monotonic()
        with self._stack:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
            self._folder.chmod(0o755)
            openssh = self._stack.enter_context(openssh_server(self._folder / "openssh"))
            self._sftp_trials(openssh)
            self._server_trials()
            self._ftps_trials()
            self._folder_trials()
            self._draft_trials()
            # Before the controls, which ask no ledger.
            checks = [world.status for world in self._worlds]
            checks += [trial.status for trial in self.results.drafts]
            self.results.status = sum(checks, StatusChecks())
            self._controls(openssh)
        self.results.seconds = time.monotonic() - begin
        return self.results

    def _sftp_trials(self, openssh: OpenSshServer) -> None:
        extent, results, seed = self.extent, self.results, self.results.seed
        kill_plans = _some(kills.all_plans(), extent.kills, seed)
        with self._said("kills, OpenSSH, SQLite ledger"):
            trial = kills.trial(self._on(openssh), kill_plans, seed=seed)
            self._keep(results.kills, "SFTP (OpenSSH), SQLite ledger", trial)
        with self._said("zombies, OpenSSH"):
            plans = _some(zombies.all_plans(), extent.zombies, seed)
            results.zombies = zombies.trial(self._on(openssh), plans, seed=seed)
            self._say(f"  {results.zombies.verdict}")
        with self._said("cuts, OpenSSH"):
            cut = cuts.trial(self._on(openssh), extent.cuts, pin=openssh.pin, seed=seed)
            self._keep(results.cuts, "SFTP (OpenSSH)", cut)
        with self._said("three at once, SQLite ledger"):
            rounds = together.trial(self._on(openssh), extent.rounds, seed=seed)
            self._keep(results.together, "SQLite ledger", rounds)
        if extent.kills_postgresql:
            # Its own server, which waits for the disk as a real one does.
            url = self._stack.enter_context(postgres_server(durable=True))
            world = self._on(openssh, url)
            with self._said("three at once, PostgreSQL ledger"):
                rounds = together.trial(world, extent.rounds, seed=seed)
                self._keep(results.together, "PostgreSQL ledger", rounds)
            with self._said("kills, PostgreSQL ledger"):
                plans_here = _some(kills.all_plans(), extent.kills_postgresql, seed + 1)
                trial = kills.trial(world, plans_here, seed=seed)
                self._keep(results.kills, "SFTP (OpenSSH), PostgreSQL ledger", trial)

    def _server_trials(self) -> None:
        extent, results = self.extent, self.results
        with (
            self._said("server faults, SFTP"),
            self._sftp_setting() as setting,
            self._logged(setting.world.home),
        ):
            sftp_kinds = _kinds(sftp_faults.KINDS, extent.sftp_kinds, results.seed)
            results.sftp = server_faults.trial(setting, sftp_kinds, seed=results.seed, slack_s=extent.slack_s)
            self._say(f"  {results.sftp.verdict}")
        self._search(setting.world.home)
        with self._said("server faults, FTPS"), self._ftps_setting() as ftps, self._logged(ftps.world.home):
            ftps_kinds = _kinds(ftps_faults.KINDS, extent.ftps_kinds, results.seed)
            results.ftps = server_faults.trial(ftps, ftps_kinds, seed=results.seed, slack_s=extent.slack_s)
            self._say(f"  {results.ftps.verdict}")
        self._search(ftps.world.home)

    def _ftps_trials(self) -> None:
        extent, results, seed = self.extent, self.results, self.results.seed
        folder = self._new_folder()
        server = self._stack.enter_context(vsftpd(folder))
        with self._said("kills, vsftpd"):
            plans = _some(
                [plan for plan in kills.all_plans() if len(plan.deaths) == 1], extent.kills_ftps, seed
            )
            trial = kills.trial(self._on_vsftpd(server), plans, seed=seed)
            self._keep(results.kills, "FTPS (vsftpd), SQLite ledger", trial)
        with self._said("cuts of the control connection, vsftpd"):
            cut = cuts.trial(
                self._on_vsftpd(server), extent.cuts_ftps, pin=lambda port: None, seed=seed, sizes=SIZES[:2]
            )
            self._keep(results.cuts, "FTPS (vsftpd), control connection", cut)

    def _folder_trials(self) -> None:
        for two_steps in (False, True):
            where = f"a folder{', renamed in two steps (as on NFS)' if two_steps else ''}, SQLite ledger"
            with self._said(f"kills, {where}"):
                plans = kills.folder_plans(two_steps=two_steps)
                if self.extent.folder_kills is not None:
                    between = [plan for plan in plans if LINKED in plan.deaths]
                    plans = _some(plans, self.extent.folder_kills, self.results.seed) + between[:3]
                name = self._new_folder().name
                share = self._folder / name / "share"
                account = folder_account(share, two_steps=two_steps)
                world = self._world(account, share, "/", None, home=self._folder / name)
                self._keep(self.results.kills, where, kills.trial(world, plans, seed=self.results.seed))

    def _draft_trials(self) -> None:
        with self._said("kills and lost replies, the API"), ExitStack() as stack:
            world = drafts.running_world(stack, self._new_folder())
            plans = _some(drafts.all_plans(), self.extent.draft_plans, self.results.seed)
            self.results.drafts.append(drafts.trial(world, plans))
            self._say(f"  {self.results.drafts[-1]}")
            for how in drafts.CONTROLS if self.extent.draft_controls else ():
                control = drafts.trial(world, drafts.CONTROL_PLANS, how=how)
                self.results.draft_controls.append(control)

    def _controls(self, openssh: OpenSshServer) -> None:
        extent, seed = self.extent, self.results.seed
        single = [plan for plan in kills.all_plans(SIZES[:2]) if len(plan.deaths) == 1]
        for how in CONTROLS:
            verdicts: dict[str, Verdict] = {}
            with self._said(f"control: {how}"):
                plans = _some(single, extent.control_kills, seed)
                verdicts["kills"] = kills.trial(self._on(openssh), plans, seed=seed, how=how).verdict
                if extent.control_cuts:
                    verdicts["cuts"] = cuts.trial(
                        self._on(openssh),
                        extent.control_cuts,
                        pin=openssh.pin,
                        seed=seed,
                        how=how,
                        stalls=0.0,
                    ).verdict
                    with self._sftp_setting() as setting:
                        kinds = [
                            kind
                            for kind in sftp_faults.KINDS
                            if "hang" not in kind.name and not kind.strangers and not kind.never_ends
                        ]
                        kinds = _some(kinds, extent.control_kinds, seed)
                        faults = server_faults.trial(setting, kinds, seed=seed, sizes=SIZES[:1], how=how)
                    verdicts["server faults"] = faults.verdict
                rounds = together.trial(self._on(openssh), extent.control_rounds, seed=seed, how=how)
                verdicts["three at once"] = rounds.verdict
            self.results.controls[how] = verdicts

    def _on(self, openssh: OpenSshServer, ledger_url: str | None = None) -> World:
        """A new world on the OpenSSH server."""
        name = self._new_folder().name
        inbox = openssh.inbox / name
        return self._world(openssh_account(openssh), inbox, str(inbox), ledger_url, home=self._folder / name)

    def _on_vsftpd(self, server: Vsftpd) -> World:
        name = self._new_folder().name
        inbox = server.inbox / name
        return self._world(vsftpd_account(server), inbox, str(inbox), None, home=self._folder / name)

    def _world(
        self,
        account: Account,
        local: Path,
        remote: str,
        ledger_url: str | None,
        *,
        home: Path,
        timeout_s: float = 5.0,
    ) -> World:
        url = ledger_url or f"sqlite:///{home}/ledger.db"
        world = World(account, url, home, local, remote, self._context, timeout_s=timeout_s)
        self._worlds.append(world)
        return world

    @contextmanager
    def _sftp_setting(self) -> Iterator[sftp_faults.SftpSetting]:
        folder = self._new_folder()
        with sftp_server(folder, password=CANARY) as server, tcp_proxy(server.port) as proxy:
            server.pin(proxy.port)
            account = sftp_faults.account(server, proxy.port)
            home = self._new_folder()
            world = self._world(account, server.root, "/", None, home=home, timeout_s=self.extent.timeout_s)
            yield server_faults.Setting(server, proxy, world)

    @contextmanager
    def _ftps_setting(self) -> Iterator[ftps_faults.FtpsSetting]:
        folder = self._new_folder()
        with pyftpd(folder, password=CANARY) as server, tcp_proxy(server.port) as proxy:
            account = ftps_faults.account(server, proxy.port)
            home = self._new_folder()
            world = self._world(account, server.root, "/", None, home=home, timeout_s=self.extent.timeout_s)
            yield server_faults.Setting(server, proxy, world)

    @contextmanager
    def _logged(self, home: Path) -> Iterator[None]:
        """Everything that anybody logs goes to a file of the world's home, where secrets are searched for."""
        handler = logging.FileHandler(home / "everything.log")
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.setLevel(level)
            root.removeHandler(handler)
            handler.close()

    def _search(self, home: Path) -> None:
        """Looks for the password in the ledger, the store and the logs."""
        for path in home.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                self.results.searched_bytes += len(data)
                self.results.canaries += data.count(CANARY.encode())

    def _new_folder(self) -> Path:
        self._folders += 1
        folder = self._folder / f"world{self._folders}"
        folder.mkdir()
        return folder

    def _keep(self, trials: list[tuple[str, Trial]], where: str, trial: Trial) -> None:
        """Says at once what came of it, for whoever cannot wait for the table."""
        trials.append((where, trial))
        self._say(f"  {trial.verdict}")

    @contextmanager
    def _said(self, what: str) -> Iterator[None]:
        begin = time.monotonic()
        self._say(f"{what} …")
        yield
        self._say(f"{what}: {time.monotonic() - begin:.0f} s")


def _some(plans: Sequence[Plan], count: int | None, seed: int) -> list[Plan]:
    """So many of the plans, the same ones for the same seed."""
    if count is None or count >= len(plans):
        return list(plans)
    return random.Random(seed).sample(plans, count)


def _kinds(
    kinds: Sequence[server_faults.Kind[Server]], count: int | None, seed: int
) -> list[server_faults.Kind[Server]]:
    """So many of the kinds; in a sample none of those that take a file's whole deadline."""
    return _some(kinds if count is None else [kind for kind in kinds if not kind.never_ends], count, seed)
