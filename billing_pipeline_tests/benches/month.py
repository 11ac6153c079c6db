"""A month from end to end, by the console script, beside its floors: time, CPU, memory and disk, size by size."""

from __future__ import annotations

import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from billing_pipeline.oms.period import months_back
from billing_pipeline.settings import Settings
from billing_pipeline_tests.benches import floors
from billing_pipeline_tests.benches import performance_page as rows
from billing_pipeline_tests.benches.bench_oms import Size, create_bench_oms
from billing_pipeline_tests.benches.measured import Sample, measured
from billing_pipeline_tests.benches.performance_page import Measured
from billing_pipeline_tests.support.dagster_dev import TOP, instance_variables
from billing_pipeline_tests.support.openssh import HOST, OpenSshServer, openssh_server
from billing_pipeline_tests.support.postgres import fresh_database
from billing_pipeline_tests.support.requires import find_program

SIZES = {"S": Size(200, 50), "M": Size(1_000, 200), "L": Size(5_000, 200), "X": Size(1, 100_000)}
# Of these also the month after and the month on PostgreSQL, and all three times.
SMALL_ENOUGH = ("S", "M")
MONTH, NEXT_MONTH = "2025-10", "2025-11"
FULL_MONTHS = (
    3  # the months before, in which late rows are looked for, are as large as the one that is measured
)
PACKAGES = {"psql": "postgresql-client", "lftp": "lftp"}
CONSOLE_SCRIPT = Path(sys.executable).with_name("billing-pipeline")

Say = Callable[[str], None]


class Installation:
    """A home, an OMS on PostgreSQL and an inbox on OpenSSH. The home keeps its place: Dagster's instance names it."""

    def __init__(self, folder: Path, oms_url: str, server: OpenSshServer) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.server = server
        self.oms_url = oms_url
        self.variables = {
            "BILLING_HOME": str(self.home),
            "BILLING_OMS_URL": oms_url,
            "BILLING_FIRST_MONTH": "2024-01",
            "BILLING_REMOTE_DIR": str(server.inbox),
            "BILLING_SFTP_HOST": HOST,
            "BILLING_SFTP_PORT": str(server.port),
            "BILLING_SFTP_USERNAME": server.username,
            "BILLING_SFTP_PRIVATE_KEY_FILE": str(server.client_key),
            "BILLING_SFTP_KNOWN_HOSTS_FILE": str(server.known_hosts),
        }

    def command(self, *arguments: str, **variables: str) -> Sample:
        """`billing-pipeline` with these arguments, from shell to shell."""
        return measured([CONSOLE_SCRIPT, *arguments], {**self.variables, **variables}, folder=self.folder)

    def run(self, month: str, size: Size, **variables: str) -> Sample:
        """A month that is delivered, every line of it, into an empty inbox."""
        empty(self.server.inbox)
        sample = self.command("run", month, **variables)
        files = list(self.server.inbox.iterdir())
        assert len(files) == size.customers, f"{len(files)} files of {size.customers} customers"
        services = sum(file.read_bytes().count(b'"item"') for file in files)
        assert services == size.lines, f"{services} lines instead of {size.lines}"
        return sample

    def new_home(self, like: Path | None = None) -> None:
        """An empty home, or one that is a copy of another."""
        shutil.rmtree(self.home, ignore_errors=True)
        if like is None:
            self.home.mkdir()
        else:
            shutil.copytree(like, self.home)


def measure(
    name: str, size: Size, server_url: str, folder: Path, *, repetitions: int, months_behind: int, say: Say
) -> Measured:
    """All rows of a size's table, in turns; without the month after and PostgreSQL, unless months stand behind."""
    folder.mkdir()
    behind_it = months_until_now(size, months_behind)
    months = {**behind_it, NEXT_MONTH: size} if behind_it else {MONTH: size}
    with ExitStack() as opened:
        oms_url = opened.enter_context(fresh_database(server_url))
        server = opened.enter_context(openssh_server(folder / "sshd"))
        say(f"{name}: an OMS of {sum(one.lines for one in months.values()):,} services")
        create_bench_oms(oms_url, months)
        installation = Installation(folder, oms_url, server)
        samples: dict[str, list[Sample]] = defaultdict(list)
        behind = finished_months(installation, behind_it, say) if behind_it else None
        for repetition in range(repetitions):
            for row, sample in _turn(installation, size, folder / "floors", behind, server_url):
                if sample is not None:
                    samples[row].append(sample)
                    say(f"{name} {repetition + 1}/{repetitions}: {row}: {sample.wall_s:.2f} s")
        return Measured(
            name,
            size,
            samples,
            csv_bytes=size_of(folder / "floors" / "sent"),
            store_bytes=size_of(folder / "floors" / "store"),
            months_behind=months_behind,
            missing={program: package for program, package in PACKAGES.items() if not find_program(program)},
        )


def months_until_now(size: Size, count: int) -> dict[str, Size]:
    """So many months up to `MONTH`, oldest first: the last ones of full size, those before an eighth of it."""
    small = Size(max(1, size.customers // 4), max(1, size.services // 2))
    return {
        months_back(MONTH, back): size if back < FULL_MONTHS else small for back in range(count - 1, -1, -1)
    }


def finished_months(installation: Installation, months: dict[str, Size], say: Say) -> Path:
    """A home in which all of them are delivered."""
    installation.new_home()
    for month, size in months.items():
        say(f"not measured: {month} is delivered, to stand behind {NEXT_MONTH}")
        installation.run(month, size)
    return installation.home.rename(installation.folder / "behind")


def _turn(
    installation: Installation, size: Size, folder: Path, behind: Path | None, server_url: str
) -> Iterator[tuple[str, Sample | None]]:
    """One sample of each row. What was sent stays in `sent` of the folder, what was stored in `store`."""
    shutil.rmtree(folder, ignore_errors=True)
    relations, split, sent = (folder / name for name in ("relations", "split", "sent"))
    for made in (relations, split):
        made.mkdir(parents=True)
    inbox = installation.server.inbox

    installation.new_home()
    copied = floors.copy_relations(installation.oms_url, MONTH, Settings().timezone, relations)
    yield rows.COPY, copied
    yield rows.RUN, installation.run(MONTH, size)
    shutil.copytree(inbox, sent)
    shutil.copytree(installation.home / "store", folder / "store")
    if copied is not None:
        yield rows.SPLIT, floors.split_into_files(relations, split)
        assert len(list(split.iterdir())) == size.customers
    yield rows.AGAIN, installation.command("run", MONTH)
    assert same_files(inbox, sent)
    yield rows.STATUS, installation.command("status", MONTH)
    yield rows.HELP, installation.command("--help")
    yield rows.DAGSTER, floors.record_in_dagster(folder / "dagster", size.customers)
    empty(inbox)
    yield rows.SEND, floors.send_files(sent, installation.server)
    assert not find_program("lftp") or same_files(inbox, sent)
    if behind is not None:
        installation.new_home(like=behind)
        yield rows.NEXT, installation.run(NEXT_MONTH, size)
        yield rows.AUDIT, installation.command("audit", "--to", MONTH)
        installation.new_home()
        with on_postgres(folder / "production", server_url) as variables:
            yield rows.ON_POSTGRES, installation.run(MONTH, size, **variables)


@contextmanager
def on_postgres(dagster_home: Path, server_url: str) -> Iterator[dict[str, str]]:
    """The variables of a ledger and of Dagster's production instance on fresh databases."""
    dagster_home.mkdir()
    shutil.copy(TOP / "dagster.yaml", dagster_home)
    with fresh_database(server_url) as ledger, fresh_database(server_url) as dagster:
        yield {
            "BILLING_LEDGER_URL": ledger,
            "DAGSTER_HOME": str(dagster_home),
            **instance_variables(dagster),
        }


def measure_all(
    names: Sequence[str],
    server_url: str,
    folder: Path,
    *,
    repetitions: int | None,
    months_behind: int,
    say: Say,
) -> Iterator[Measured]:
    """The sizes of these names, one after the other; `repetitions`: instead of three, or one of the large sizes."""
    for name in names:
        small = name in SMALL_ENOUGH
        yield measure(
            name,
            SIZES[name],
            server_url,
            folder / name,
            repetitions=repetitions or (3 if small else 1),
            months_behind=months_behind if small else 0,
            say=say,
        )


def same_files(one: Path, other: Path) -> bool:
    """Whether both folders hold the same files of the same bytes."""
    listed = [{file.name: file.read_bytes() for file in folder.iterdir()} for folder in (one, other)]
    return listed[0] == listed[1]


def size_of(folder: Path) -> int:
    """The bytes of all files below the folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def empty(folder: Path) -> None:
    """Removes its files, as a receiver does that has imported them."""
    for file in folder.iterdir():
        file.unlink()
