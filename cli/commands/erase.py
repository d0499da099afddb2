"""`quietpager erase`: a tenant's data leaves."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.failure import Failure
from cli.options import ConfigPath, Data

if TYPE_CHECKING:
    from cli.config import Config

NOT_GONE = 1


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: quietpager erase --tenant acme --yes")(erase)


def erase(
    tenant: Annotated[
        str, typer.Option(help="Whose rows are taken out.", metavar="TENANT", show_default=False)
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    now: Annotated[
        bool,
        typer.Option(
            "--now", help="Delete the old files at once; a question running meanwhile may fail."
        ),
    ] = False,
    data: Data = None,
    config: ConfigPath = None,
) -> None:
    """Take every row of a tenant out of the lake, and prove that none is left.

    Rows that name no tenant go with their trace. Only files that hold such rows are rewritten; it
    may run beside the sidecar, and readers see each day with the rows or without. The old files
    are deleted an hour later, or at once with --now. Its alerts and their history go as well.
    It leaves the segments in quarantine, too: what of them was stored goes from there, and of the
    rest what names it. Where its name stands within a longer one, they are left to you, and told.

    Exit code 0: nothing is left. 1: something is, and stderr says where; or it could not be done.
    """
    from cli.load import load_config
    from cli.output import say
    from cli.rooms import one_line_errors
    from ingest import DirectoryInUse, StillInJournal, log_warnings, sweep
    from ingest import erase as erase_tenant

    settings = load_config(config, data=data)
    if not settings.data.is_dir():
        raise Failure(f"{settings.data}: no data there; name the directory with --data", 2)
    if not tenant:
        raise Failure("--tenant is empty; name the tenant", 2)
    if not yes:
        _ask(f"Take every row of tenant {tenant!r} out of {settings.data}?")
    log_warnings()
    try:
        with one_line_errors():
            erasure = erase_tenant(
                settings.data,
                tenant,
                settings.attribute_map(),
                keep_content_for=settings.privacy.keep_content_for,
            )
            if now:
                sweep(settings.data)
    except (DirectoryInUse, StillInJournal) as error:
        raise Failure(str(error)) from None
    for table, rows in erasure.removed.items():
        print(f"{table:8}{rows:>12,} rows removed, {erasure.left[table]:,} left")
    alerts = _erase_alerts(settings, erasure.tenant)
    if alerts:
        print(f"{'alerts':8}{alerts:>12,} states and incidents removed")
    if erasure.cleared:
        print(f"{'aside':8}{len(erasure.cleared):>12,} files in quarantine rewritten or deleted")
    if erasure.waiting:
        say(
            f"rows of {tenant!r} come in still, such as into {erasure.waiting[0]}; stop its "
            "senders, then erase again"
        )
    if erasure.quarantined:
        say(
            f"{len(erasure.quarantined)} files in quarantine hold {tenant!r} within a longer word, "
            f"the first being {erasure.quarantined[0]}; delete what is its, then erase again"
        )
    if not now:
        say(
            "the files that held them are deleted when no reader can use them any more: in 1 to 2 h"
        )
    if any(erasure.left.values()) or erasure.waiting or erasure.quarantined:
        raise typer.Exit(NOT_GONE)


def _erase_alerts(settings: "Config", tenant: str) -> int:
    """Take the tenant out of the alert store, if there is one; returns how many rows that were."""
    from analytics.alerts import AlertStore
    from cli.output import say
    from cli.rooms import alert_store, one_line_errors

    if not (path := alert_store(settings)).exists():
        return 0
    with one_line_errors():
        erased = AlertStore(path).erase(tenant)
    if erased.firing:
        say(
            f"{erased.firing} alerts of {tenant!r} were firing; nobody is told that they ended: "
            "resolve them where they were sent to"
        )
    return erased.rows


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise Failure("nobody is there to confirm it; add --yes", 2)
    typer.confirm(question, abort=True)
