"""What the agent runtime costs: a node, a conversation beside other frameworks, a crowd's wait.

    python benchmarks/runtime.py [--seconds 60] [--peers langgraph,pydantic-ai] [--json]
        [--streams 500] [--tokens 50] [--processes 2]

Every part is a process of its own on this machine: the agents, the model server
(`demo.model_server`), a sink for spans, and whoever asks. What each figure is, is in
benchmarks/README.md.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from platform import python_version

import crowd
import frameworks
from figures import quantile
from options import names_of, positive

Figures = dict[str, object]


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    seconds: float
    peers: tuple[str, ...]
    streams: int
    tokens: int
    processes: int
    as_json: bool


def main() -> None:
    """Run every measurement once and print the result."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="quietpager-bench-") as folder:
        home = Path(folder)
        figures = {
            "cores": os.cpu_count(),
            "python": python_version(),
            "load_before": os.getloadavg()[0],
            "ten_million_additions_s": _additions_s(),
            "processes": options.processes,
        }
        answers = crowd.Answers(options.tokens)
        measured = crowd.measure(home, options.seconds, options.streams, answers, options.processes)
        figures |= _crowd_figures(measured)
        figures |= _framework_figures(frameworks.compare(home, options.seconds, options.peers))
    print(json.dumps(figures) if options.as_json else _table(figures))


def _additions_s() -> float:
    """How fast this machine is at Python, and how busy: what ten million additions take."""
    began, total = time.perf_counter(), 0
    for number in range(10_000_000):
        total += number
    return time.perf_counter() - began


def _options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seconds", type=positive, default=60.0,
        help="how long each part is measured: a conversation and a node on each framework, and "
        "the crowd at its full size (60)",
    )  # fmt: skip
    parser.add_argument(
        "--peers", type=names_of(frameworks.PEERS), default=tuple(frameworks.PEERS),
        help=f"frameworks to compare with ({','.join(frameworks.PEERS)}), or none",
    )  # fmt: skip
    parser.add_argument("--streams", type=int, default=500, help="size of the crowd (500)")
    parser.add_argument("--tokens", type=int, default=50, help="of each answer, five a second (50)")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count(),
        help="that serve the crowd's agent (as many as there are cores)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    return Options(chosen.seconds, chosen.peers, chosen.streams, chosen.tokens,
                   chosen.processes, chosen.json)  # fmt: skip


def _framework_figures(results: frameworks.Results) -> Figures:
    ours = results.conversations[frameworks.OURS]
    nodes = results.nodes[frameworks.OURS]
    return {
        "node_overhead_p50_ms": nodes.p(50),
        "node_overhead_p95_ms": nodes.p(95),
        "node_overhead_p99_ms": nodes.p(99),
        "conversation_p50_ms": ours.p(50),
        "conversation_p95_ms": ours.p(95),
        "conversation_cpu_ms": ours.cpu,
        "by_hand_p50_ms": results.conversations[frameworks.BY_HAND].p(50),
        "by_hand_cpu_ms": results.conversations[frameworks.BY_HAND].cpu,
        "peers": {
            name: _peer_figures(results, name, version)
            for name, version in results.versions.items()
        },
    }


def _peer_figures(results: frameworks.Results, name: str, version: str) -> Figures:
    """What it takes, and how many times what we take."""
    ours, theirs = results.conversations[frameworks.OURS], results.conversations[name]
    figures: Figures = {
        "version": version,
        "conversation_p50_ms": theirs.p(50),
        "conversation_p95_ms": theirs.p(95),
        "conversation_cpu_ms": theirs.cpu,
        "ratio": theirs.p(50) / ours.p(50),
        "cpu_ratio": theirs.cpu / ours.cpu,
    }
    if name in results.nodes:
        nodes = results.nodes[name]
        figures |= {"node_overhead_p50_ms": nodes.p(50), "node_overhead_p95_ms": nodes.p(95)}
    return figures


def _crowd_figures(measured: crowd.Measured) -> Figures:
    through, footprint = measured.through, measured.footprint
    return {
        "streams": through.open,
        "tokens_per_s": through.tokens_per_s,
        "runs": len(through.overheads_ms),
        "retries": measured.retries,
        **{
            f"{name}_p{percentile}_ms": quantile(values, percentile)
            for name, values in (
                ("ttfb_overhead", through.overheads_ms),
                ("ttfb_overhead_at_edge", measured.edge_overheads_ms),
                ("ttfb_overhead_direct", measured.direct.overheads_ms),
            )
            for percentile in (50, 95, 99)
        },
        "server_cpu_ms_per_token": 1000 * footprint.total_cpu_seconds / measured.tokens,
        "model_server_cpu_ms_per_token": 1000 * measured.model_server_cpu_s / measured.tokens,
        "users_cpu_ms_per_token": 1000 * measured.users_cpu_s / measured.tokens,
        "server_rss_mb": footprint.peak_rss_mb,
    }


def _table(figures: Figures) -> str:
    def ms(name: str) -> str:
        return " / ".join(f"{figures[f'{name}_p{each}_ms']:,.2f}" for each in (50, 95, 99))

    rows = [
        ("node that does nothing, p50 / p95 / p99", f"{ms('node_overhead')} ms"),
        ("conversation: agent_runtime, p50 / p95",
         f"{figures['conversation_p50_ms']:.1f} / {figures['conversation_p95_ms']:.1f} ms"),
        ("processor time of it", f"{figures['conversation_cpu_ms']:.1f} ms"),
        ("conversation: by hand, p50 and processor time",
         f"{figures['by_hand_p50_ms']:.1f} and {figures['by_hand_cpu_ms']:.1f} ms"),
    ]  # fmt: skip
    for name, peer in figures["peers"].items():
        rows += [
            (f"conversation: {name} {peer['version']}, p50 / p95",
             f"{peer['conversation_p50_ms']:.1f} / {peer['conversation_p95_ms']:.1f} ms"),
            ("processor time of it", f"{peer['conversation_cpu_ms']:.1f} ms"),
            (f"{name} / agent_runtime, time and processor time",
             f"{peer['ratio']:.2f} and {peer['cpu_ratio']:.2f}"),
        ]  # fmt: skip
        if "node_overhead_p50_ms" in peer:
            rows.append((
                f"node that does nothing: {name}, p50 / p95",
                f"{peer['node_overhead_p50_ms']:.2f} / {peer['node_overhead_p95_ms']:.2f} ms",
            ))  # fmt: skip
    rows += [
        ("streams open at a time, tokens, processes that serve them",
         (f"{figures['streams']:.0f}, {figures['tokens_per_s']:,.0f} a second, "
         f"{figures['processes']}")),
        ("first token later by, p50 / p95 / p99", f"{ms('ttfb_overhead')} ms"),
        ("the same by the runtime's own line", f"{ms('ttfb_overhead_at_edge')} ms"),
        ("the same without the runtime between", f"{ms('ttfb_overhead_direct')} ms"),
        ("server: processor time of a token, memory",
         f"{figures['server_cpu_ms_per_token']:.2f} ms, {figures['server_rss_mb']:.0f} MiB"),
        ("the same of the model server and the users",
         " and ".join(f"{figures[f'{who}_cpu_ms_per_token']:.2f}"
                      for who in ("model_server", "users")) + " ms"),
        ("the machine: ten million additions, load before",
         f"{figures['ten_million_additions_s']:.2f} s, {figures['load_before']:.1f}"),
    ]  # fmt: skip
    return "\n".join(f"{name:<52} {value}" for name, value in rows)


if __name__ == "__main__":
    main()
