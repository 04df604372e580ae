"""`audit`: proof for others of what happened, and files by which they can check it without us."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from ordergate.cli import witness
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir, Limit
from ordergate.cli.output import people, progress, to_programs, waiting
from ordergate.core.ids import AccountId

app = typer.Typer(no_args_is_help=True, help="Prove what happened to somebody who does not trust us.")
app.command(name="witness")(witness.witness)

To = Annotated[Path, typer.Option("--to", help="The folder to write to; made where there is none.")]
ToFile = Annotated[Path | None, typer.Option("--to", help="Write to a file instead of showing it.")]


@app.command()
def verify(config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """Check every record, every signed checkpoint, and what was published of them."""
    from ordergate.wiring import databases, proofs

    settings = databases.settings_of(config, data_dir)
    with waiting("opening the journal"):
        total = proofs.size(settings)
    with progress("records", total) as ticks:
        found = proofs.verify(settings, ticks.advance, datetime.now(UTC))
    if as_json:
        to_programs({"clean": not found.problems, **msgspec.to_builtins(found)})
    else:
        people().print(
            f"{found.records} records, {found.signed} of them signed for, {found.checkpoints} checkpoints"
        )
        for problem in found.problems:
            people().print(Text(problem, style="red"), soft_wrap=True)
        if not found.problems:
            people().print(Text("everything holds", style="green"))
    if found.problems:
        raise typer.Exit(ExitCode.INTEGRITY)


@app.command()
def export(to: To, config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """Write every record and checkpoint to files that the independent verifier reads."""
    from ordergate.wiring import databases, proofs

    settings = databases.settings_of(config, data_dir)
    with waiting("opening the journal"):
        total = proofs.size(settings)
    with progress("records", total) as ticks:
        exported = proofs.export(settings, to, ticks.advance)
    if as_json:
        to_programs(msgspec.to_builtins(exported))
    else:
        people().print(
            f"{exported.records} records and {exported.checkpoints} checkpoints are in {exported.folder}"
        )


@app.command()
def prove(
    *,
    account: Annotated[str | None, typer.Argument(help="The account of the event.")] = None,
    seq: Annotated[int | None, typer.Argument(help="The event's number in the account.")] = None,
    since: Annotated[
        Path | None, typer.Option("--since", help="Prove instead that the log grew out of this checkpoint.")
    ] = None,
    to: ToFile = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Prove that an event is in the signed log, or that the log only grew since a checkpoint."""
    from ordergate.wiring import databases, proofs

    settings = databases.settings_of(config, data_dir)
    if since is not None:
        proof = proofs.prove_growth(settings, since.read_text(encoding="utf-8", errors="replace"))
    elif account is not None and seq is not None:
        proof = proofs.prove(settings, AccountId(account), seq)
    else:
        sentence = "say which event, as its account and its number, or --since a checkpoint"
        raise Stopped(ExitCode.USAGE, sentence)
    if to is not None:
        to.write_text(proof, encoding="utf-8")
    if as_json:
        to_programs({"proof": proof} if to is None else {"file": str(to)})
    elif to is None:
        people().print(Text(proof), soft_wrap=True, end="")
    else:
        people().print(f"the proof is in {to}")


@app.command(name="go-on")
def go_on(
    reason: Annotated[str, typer.Option("--reason", help="Why the log may go on without what is lost.")],
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """After a restore from an older backup: let the log and the streams go on from what the database has.

    What was published and is lost is set aside and kept. Whoever holds a checkpoint of the lost time sees the
    break. Clients start over with a snapshot.
    """
    from ordergate.wiring import databases, proofs

    settings = databases.settings_of(config, data_dir)
    aside = proofs.go_on(settings, getpass.getuser(), reason, datetime.now(UTC))
    if as_json:
        to_programs({"set_aside": aside})
    else:
        people().print("set aside: " + ", ".join(aside) if aside else "nothing that was published is lost")
        people().print("every stream begins anew: clients start over with a snapshot")


@app.command()
def key(
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    every: Annotated[
        bool, typer.Option("--all", help="Every key that the log has had, the first one first.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The public key that checkpoints are signed with, in one line: give it to whoever verifies."""
    from ordergate.wiring import databases, proofs

    keys = proofs.keys_of(databases.settings_of(config, data_dir))
    shown = keys if every else keys[-1:]
    if as_json:
        to_programs({"keys": shown})
        return
    for one in shown:
        people().print(Text(one), soft_wrap=True)


@app.command(name="rotate-key")
def rotate_key(
    reason: Annotated[str, typer.Option("--reason", help="Why the key is changed.")],
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Change the key of checkpoints: the next one names the new key, and both sign it."""
    from ordergate.wiring import databases, proofs

    made = proofs.rotate_key(databases.settings_of(config, data_dir), getpass.getuser(), reason)
    if as_json:
        to_programs({"key": made})
    else:
        people().print(Text(f"the next key: {made}"), soft_wrap=True)


@app.command()
def records(
    *,
    day: Annotated[datetime, typer.Option("--day", formats=["%Y-%m-%d"], help="The day, in UTC.")],
    to: To,
    account: Annotated[str | None, typer.Option("--account", help="Only this account.")] = None,
    form: Annotated[str, typer.Option("--form", help="parquet or csv.")] = "parquet",
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Write a day's order events as records for a regulator: a file for each account."""
    from ordergate.wiring import databases, exports

    if form not in tuple(exports.Form):
        raise Stopped(ExitCode.USAGE, f"--form is {' or '.join(exports.Form)}, not {form}")
    settings = databases.settings_of(config, data_dir)
    accounts = list(settings.accounts) if account is None else [AccountId(account)]
    with waiting("reading the journal"):
        written = exports.write_day(settings, day.date(), accounts, to, exports.Form(form))
    if as_json:
        to_programs([msgspec.to_builtins(one) for one in written])
    else:
        for one in written:
            people().print(f"{one.records} records of {one.account} are in {one.file}")


@app.command(name="drop-copy")
def drop_copy(
    after: Annotated[int, typer.Option("--after", min=0, help="Only what has a higher number.")] = 0,
    limit: Limit = 1_000,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    _as_json: AsJson = False,
) -> None:
    """Show the drop copy: one JSON object on each line, numbered without gaps."""
    from ordergate.wiring import databases, exports

    for line in exports.drop_copy(databases.settings_of(config, data_dir), after, limit):
        to_programs(line)


@app.command()
def retire(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be dropped.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Drop now what the gateway drops once a day by the settings: messages that are old enough.

    Records are never dropped: events, the signed log, the drop copy and stops stay.
    """
    from ordergate.wiring import databases, exports

    settings = databases.settings_of(config, data_dir)
    dropped = exports.retire(settings, datetime.now(UTC), really=not dry_run)
    if as_json:
        to_programs({"dropped": not dry_run, **msgspec.to_builtins(dropped)})
    else:
        said = "would be dropped" if dry_run else "dropped"
        people().print(f"{dropped.taken} messages that were taken and {dropped.dead} dead letters {said}")


@app.command()
def state(
    account: Annotated[str, typer.Argument(help="The account.")],
    seq: Annotated[int, typer.Argument(min=0, help="After which of its events.")],
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    _as_json: AsJson = False,
) -> None:
    """Show an account as it stood after one of its past events, as JSON."""
    from ordergate.wiring import databases, records

    settings = databases.settings_of(config, data_dir)
    place = databases.of(settings)
    to_programs(records.recreate(place, settings.symbols, AccountId(account), seq))
