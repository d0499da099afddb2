"""The `quietpager` command: arguments in, calls into the rooms, answers out.

Comes in: arguments, environment variables and ``quietpager.toml``.
Goes out: data on stdout, messages on stderr, an exit code a script can rely on.
Never: holds logic of the rooms. What is computed is computed by `ingest`, `analytics` or
`dashboards`; here it is only asked for and laid out.

Exit codes: 0 done; 1 the answer is bad news or the query is wrong (`slo check`: breached);
2 it could not be tried: arguments, configuration or SLO files are wrong (`slo check`: cannot be
evaluated); 130 interrupted.
"""

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit. Imports nothing before it is called: children start fast."""
    from cli.app import run

    run()
